app = "My_App"
domain = ["example.com"]

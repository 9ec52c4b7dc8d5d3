package outward

import "testing"

func TestOnly(t *testing.T) {
	for address, let := range map[string]bool{
		"192.0.2.7:80": true, "10.0.0.1:443": true, "[2001:db8::1]:443": true,
		"127.0.0.1:80": false, "127.9.9.9:80": false, "169.254.169.254:80": false, "0.0.0.0:80": false, "224.0.0.1:80": false,
		"[::1]:80": false, "[fe80::1]:80": false, "[::]:80": false, "[::ffff:127.0.0.1]:80": false, "[::ffff:169.254.169.254]:80": false,
		"example.com:80": false, "192.0.2.7": false,
	} {
		if err := Only("tcp", address, nil); (err == nil) != let {
			t.Errorf("%s: %v", address, err)
		}
	}
}

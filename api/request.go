package api

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// NewRequest makes a request id.
func NewRequest() (string, error) {
	random := make([]byte, 10)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("make a request id: %w", err)
	}
	return hex.EncodeToString(random), nil
}

// An application that knows who is asking, because it verifies what Postern says.
//
//	go run .
//
// In front of it: postern dev --to http://localhost:3000
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

type identity struct {
	jwt.RegisteredClaims
	Email  string   `json:"email"`
	Groups []string `json:"groups"`
}

func main() {
	jwksURL := cmp.Or(os.Getenv("JWKS_URL"), "http://127.0.0.1:8080/.well-known/postern/jwks.json")
	// The host that people ask for. Without it a token for another application would do.
	audience := cmp.Or(os.Getenv("AUDIENCE"), "app.localhost")
	issuer := cmp.Or(os.Getenv("ISSUER"), audience)

	// Reads the keys again when a token names one that is not known, at most every five seconds.
	keys, err := keyfunc.NewDefaultOverrideCtx(context.Background(), []string{jwksURL}, keyfunc.Override{
		RefreshUnknownKID: rate.NewLimiter(rate.Every(5*time.Second), 1),
	})
	if err != nil {
		log.Fatal(err)
	}
	parser := jwt.NewParser(
		// Never what the token itself says: "none", or HS256 with the public key as its secret.
		jwt.WithValidMethods([]string{"ES256", "RS256"}),
		jwt.WithAudience(audience),
		jwt.WithIssuer(issuer),
		jwt.WithExpirationRequired(),
	)
	identityOf := func(request *http.Request) (identity, error) {
		var claims identity
		assertion := request.Header.Get("X-Postern-Jwt-Assertion")
		if assertion == "" {
			return claims, errors.New("this request did not come through Postern")
		}
		_, err := parser.ParseWithClaims(assertion, &claims, keys.Keyfunc)
		return claims, err
	}

	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		response.Header().Set("Content-Type", "application/json")
		claims, err := identityOf(request)
		if err != nil {
			response.WriteHeader(http.StatusUnauthorized)
			json.NewEncoder(response).Encode(map[string]string{"error": err.Error()})
			return
		}
		json.NewEncoder(response).Encode(map[string]any{"sub": claims.Subject, "email": claims.Email, "groups": claims.Groups})
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"), nil))
}

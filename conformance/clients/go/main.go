// Go's OAuth clients as their documentation shows them: `clients LIBRARY HOW`. The settings are environment variables,
// SSL_CERT_FILE among them; what the library made of the answer is printed as `name value` lines, an error as its own
// members say.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func say(name string, value any) {
	fmt.Println(name, strings.ReplaceAll(fmt.Sprint(value), "\n", " "))
}

func main() {
	var err error
	switch library, how := os.Args[1], os.Args[2]; library {
	case "msal":
		err = microsoft(how)
	case "oauth2":
		err = standard(how)
	default:
		err = errors.New("there is no " + library)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// credential is what the application proves itself with.
func credential(how string) (confidential.Credential, error) {
	switch how {
	case "secret", "on-behalf-of":
		return confidential.NewCredFromSecret(os.Getenv("CLIENT_SECRET"))
	case "certificate":
		pem, err := os.ReadFile(os.Getenv("CERTIFICATE_FILE"))
		if err != nil {
			return confidential.Credential{}, err
		}
		certificates, key, err := confidential.CertFromPEM(pem, "")
		if err != nil {
			return confidential.Credential{}, err
		}
		return confidential.NewCredFromCert(certificates, key)
	case "assertion":
		given := func(context.Context, confidential.AssertionRequestOptions) (string, error) {
			return os.Getenv("ASSERTION"), nil
		}
		return confidential.NewCredFromAssertionCallback(given), nil
	}
	return confidential.Credential{}, errors.New("there is no " + how)
}

// microsoft is the vendor's library, told not to ask its own cloud of the authority. The second token is the first one.
func microsoft(how string) error {
	proof, err := credential(how)
	if err != nil {
		return err
	}
	authority := os.Getenv("BASE") + "/" + os.Getenv("TENANT")
	client, err := confidential.New(authority, os.Getenv("CLIENT_ID"), proof, confidential.WithInstanceDiscovery(false))
	if err != nil {
		say("message", err)
		return nil
	}
	ctx, scopes := context.Background(), []string{os.Getenv("SCOPE")}
	if how == "on-behalf-of" {
		_, err := client.AcquireTokenOnBehalfOf(ctx, "x", scopes)
		sayCall(err)
		return nil
	}
	for range 2 {
		result, err := client.AcquireTokenByCredential(ctx, scopes)
		if err != nil {
			sayCall(err)
			return nil
		}
		say("token", result.AccessToken)
		say("cached", result.Metadata.TokenSource == confidential.TokenSourceCache)
	}
	return nil
}

func sayCall(err error) {
	say("message", err)
	var call msal.CallErr
	if errors.As(err, &call) {
		say("status", call.Resp.StatusCode)
		body, _ := io.ReadAll(call.Resp.Body)
		say("body", string(body))
	}
}

// standard is golang.org/x/oauth2, which finds out by itself how the server wants the secret unless told.
func standard(how string) error {
	styles := map[string]oauth2.AuthStyle{
		"auto":     oauth2.AuthStyleAutoDetect,
		"basic":    oauth2.AuthStyleInHeader,
		"body":     oauth2.AuthStyleInParams,
		"password": oauth2.AuthStyleInHeader,
	}
	style, known := styles[how]
	if !known {
		return errors.New("there is no " + how)
	}
	config := clientcredentials.Config{
		ClientID:     os.Getenv("CLIENT_ID"),
		ClientSecret: os.Getenv("CLIENT_SECRET"),
		TokenURL:     os.Getenv("BASE") + "/" + os.Getenv("TENANT") + "/oauth2/v2.0/token",
		Scopes:       []string{os.Getenv("SCOPE")},
		AuthStyle:    style,
	}
	if how == "password" {
		config.EndpointParams = url.Values{"grant_type": {"password"}}
	}
	source := config.TokenSource(context.Background())
	for range 2 {
		token, err := source.Token()
		if err != nil {
			sayRetrieve(err)
			return nil
		}
		say("token", token.AccessToken)
		say("type", token.Type())
	}
	return nil
}

func sayRetrieve(err error) {
	say("message", err)
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		say("status", refused.Response.StatusCode)
		say("error", refused.ErrorCode)
		say("description", refused.ErrorDescription)
		say("uri", refused.ErrorURI)
	}
}

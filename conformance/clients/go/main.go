// Go's OAuth clients as their documentation shows them: `clients LIBRARY HOW`. The settings are environment variables,
// SSL_CERT_FILE among them; what the library made of the answer is printed as `name value` lines, an error as its own
// members say.
package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
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
	case "azure-identity":
		err = azure(how)
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

// fromFile is the certificate of a file, with its key.
func fromFile() ([]*x509.Certificate, crypto.PrivateKey, error) {
	pem, err := os.ReadFile(os.Getenv("CERTIFICATE_FILE"))
	if err != nil {
		return nil, nil, err
	}
	return confidential.CertFromPEM(pem, "")
}

// credential is what the application proves itself with.
func credential(how string) (confidential.Credential, error) {
	switch how {
	case "secret", "on-behalf-of":
		return confidential.NewCredFromSecret(os.Getenv("CLIENT_SECRET"))
	case "certificate":
		certificates, key, err := fromFile()
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

// azure is the Azure SDK, which takes the host from AZURE_AUTHORITY_HOST. The second token is the first one.
func azure(how string) error {
	tenant, client := os.Getenv("TENANT"), os.Getenv("CLIENT_ID")
	var credential azcore.TokenCredential
	var err error
	switch how {
	case "secret":
		options := &azidentity.ClientSecretCredentialOptions{DisableInstanceDiscovery: true}
		credential, err = azidentity.NewClientSecretCredential(tenant, client, os.Getenv("CLIENT_SECRET"), options)
	case "on-behalf-of":
		options := &azidentity.OnBehalfOfCredentialOptions{DisableInstanceDiscovery: true}
		secret := os.Getenv("CLIENT_SECRET")
		credential, err = azidentity.NewOnBehalfOfCredentialWithSecret(tenant, client, "x", secret, options)
	case "certificate":
		certificates, key, bad := fromFile()
		if bad != nil {
			return bad
		}
		options := &azidentity.ClientCertificateCredentialOptions{DisableInstanceDiscovery: true}
		credential, err = azidentity.NewClientCertificateCredential(tenant, client, certificates, key, options)
	case "workload":
		// This one takes the rest from the environment: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE.
		options := &azidentity.WorkloadIdentityCredentialOptions{DisableInstanceDiscovery: true}
		credential, err = azidentity.NewWorkloadIdentityCredential(options)
	default:
		return errors.New("there is no " + how)
	}
	if err != nil {
		return err
	}
	for range 2 {
		asked := policy.TokenRequestOptions{Scopes: []string{os.Getenv("SCOPE")}}
		token, err := credential.GetToken(context.Background(), asked)
		if err != nil {
			sayFailed(err)
			return nil
		}
		say("token", token.Token)
	}
	return nil
}

func sayFailed(err error) {
	say("message", err)
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		say("status", failed.RawResponse.StatusCode)
		body, _ := io.ReadAll(failed.RawResponse.Body)
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

import com.microsoft.aad.msal4j.ClientCredentialFactory;
import com.microsoft.aad.msal4j.ClientCredentialParameters;
import com.microsoft.aad.msal4j.ConfidentialClientApplication;
import com.microsoft.aad.msal4j.IAuthenticationResult;
import com.microsoft.aad.msal4j.IClientCredential;
import com.microsoft.aad.msal4j.MsalException;
import com.microsoft.aad.msal4j.MsalServiceException;
import com.microsoft.aad.msal4j.OnBehalfOfParameters;
import com.microsoft.aad.msal4j.TokenSource;
import com.microsoft.aad.msal4j.UserAssertion;
import java.io.FileInputStream;
import java.io.InputStream;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * The vendor's library for Java as its documentation shows it: {@code Clients HOW}. The settings are environment
 * variables, and whom TLS trusts is javax.net.ssl.trustStore; what the library made of the answer is printed as
 * {@code name value} lines, an error as its own members say.
 */
public final class Clients {
    public static void main(String[] arguments) throws Exception {
        String base = setting("BASE") + "/" + setting("TENANT");
        ConfidentialClientApplication.Builder builder =
                ConfidentialClientApplication.builder(setting("CLIENT_ID"), credential(arguments[0]))
                        .instanceDiscovery(false)
                        .connectTimeoutForDefaultHttpClient(10_000)
                        .readTimeoutForDefaultHttpClient(10_000);
        if (System.getenv("CORRELATION_ID") != null) {
            builder.correlationId(setting("CORRELATION_ID"));
        }
        try {
            ConfidentialClientApplication application =
                    (arguments[0].equals("oidc") ? builder.oidcAuthority(base + "/v2.0/") : builder.authority(base + "/"))
                            .build();
            if (arguments[0].equals("on-behalf-of")) {
                OnBehalfOfParameters parameters =
                        OnBehalfOfParameters.builder(Set.of(setting("SCOPE")), new UserAssertion("x")).build();
                application.acquireToken(parameters).get(30, TimeUnit.SECONDS);
            }
            ask(application);
            ask(application);
        } catch (ExecutionException refused) {
            sayRefusal(refused.getCause());
        } catch (MsalException | IllegalArgumentException refused) {
            sayRefusal(refused);
        }
        System.exit(0);
    }

    private static IClientCredential credential(String how) throws Exception {
        switch (how) {
            case "secret":
            case "oidc":
            case "on-behalf-of":
                return ClientCredentialFactory.createFromSecret(setting("CLIENT_SECRET"));
            case "certificate":
                try (InputStream file = new FileInputStream(setting("CERTIFICATE_FILE"))) {
                    return ClientCredentialFactory.createFromCertificate(file, setting("CERTIFICATE_PASSWORD"));
                }
            case "assertion":
                return ClientCredentialFactory.createFromCallback(() -> setting("ASSERTION"));
            default:
                throw new IllegalArgumentException("there is no " + how);
        }
    }

    /** The second time the library has the token from its cache. */
    private static void ask(ConfidentialClientApplication application) throws Exception {
        ClientCredentialParameters parameters =
                ClientCredentialParameters.builder(Set.of(setting("SCOPE"))).build();
        IAuthenticationResult result = application.acquireToken(parameters).get(30, TimeUnit.SECONDS);
        say("token", result.accessToken());
        // It says nothing of the source where that was the cache.
        say("cached", result.metadata().tokenSource() != TokenSource.IDENTITY_PROVIDER);
    }

    private static void sayRefusal(Throwable error) {
        say("message", error);
        if (error instanceof MsalException) {
            say("error", ((MsalException) error).errorCode());
        }
        if (error instanceof MsalServiceException) {
            MsalServiceException refused = (MsalServiceException) error;
            say("description", refused.getMessage());
            say("status", refused.statusCode());
            say("correlation", refused.correlationId());
            say("claims", refused.claims());
        }
    }

    private static void say(String name, Object value) {
        System.out.println(name + " " + String.valueOf(value).replace('\n', ' '));
    }

    private static String setting(String name) {
        return System.getenv().getOrDefault(name, "");
    }
}

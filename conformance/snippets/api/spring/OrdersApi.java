package orders;

import static org.springframework.security.oauth2.core.OAuth2TokenValidatorResult.failure;
import static org.springframework.security.oauth2.core.OAuth2TokenValidatorResult.success;

import java.security.Principal;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.security.config.annotation.method.configuration.EnableMethodSecurity;
import org.springframework.security.oauth2.core.OAuth2Error;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@EnableMethodSecurity
@RestController
public class OrdersApi {
    @GetMapping("/orders")
    @PreAuthorize("hasRole('orders.read')")
    String orders(Principal client) {
        return "orders for " + client.getName() + "\n";
    }

    /** What Spring does not ask by itself: that a token ends, and is bound to no key, which is not checked here. */
    @Bean
    OAuth2TokenValidator<Jwt> endsAndIsUnbound() {
        return token -> token.getExpiresAt() != null && !token.hasClaim("cnf")
                ? success() : failure(new OAuth2Error("invalid_token"));
    }

    public static void main(String[] arguments) {
        SpringApplication.run(OrdersApi.class, arguments);
    }
}

package com.example;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationConverter;
import org.springframework.security.oauth2.server.resource.authentication.JwtGrantedAuthoritiesConverter;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * A resource server whose token is the assertion that Postern passes on; groups are authorities ({@code
 * hasAuthority("GROUP_Engineering")}).
 *
 * <p>mvn spring-boot:run; in front of it: postern dev --to http://localhost:3000
 */
@RestController
@SpringBootApplication
public class Application {
  public static void main(String[] arguments) {
    SpringApplication.run(Application.class, arguments);
  }

  @GetMapping("/")
  Map<String, Object> whoAmI(@AuthenticationPrincipal Jwt identity) {
    var told = new HashMap<String, Object>();
    // Not everybody has an address, or groups.
    for (var name : List.of("sub", "email", "groups")) told.put(name, identity.getClaim(name));
    return told;
  }

  @Bean
  SecurityFilterChain security(HttpSecurity http) throws Exception {
    var groups = new JwtGrantedAuthoritiesConverter();
    groups.setAuthoritiesClaimName("groups");
    groups.setAuthorityPrefix("GROUP_");
    var converter = new JwtAuthenticationConverter();
    converter.setJwtGrantedAuthoritiesConverter(groups);
    return http.authorizeHttpRequests(requests -> requests.anyRequest().authenticated())
        .sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
        // No cookie of this application says who is asking, and Postern's own is SameSite.
        .csrf(csrf -> csrf.disable())
        .oauth2ResourceServer(
            server ->
                server
                    .bearerTokenResolver(request -> request.getHeader("X-Postern-Jwt-Assertion"))
                    .jwt(jwt -> jwt.jwtAuthenticationConverter(converter)))
        .build();
  }

  /** {@code audience}: the host that people ask for. Without it a token for another application would do. */
  @Bean
  JwtDecoder decoder(
      @Value("${JWKS_URL:http://127.0.0.1:8080/.well-known/postern/jwks.json}") String jwksUrl,
      @Value("${AUDIENCE:app.localhost}") String audience,
      @Value("${ISSUER:${AUDIENCE:app.localhost}}") String issuer) {
    var decoder =
        NimbusJwtDecoder.withJwkSetUri(jwksUrl)
            .jwsAlgorithms(algorithms -> algorithms.addAll(Arrays.asList(SignatureAlgorithm.ES256, SignatureAlgorithm.RS256)))
            .build();
    decoder.setJwtValidator(
        new DelegatingOAuth2TokenValidator<>(
            new JwtTimestampValidator(),
            new JwtClaimValidator<>("exp", expires -> expires != null),
            new JwtIssuerValidator(issuer),
            new JwtClaimValidator<List<String>>("aud", audiences -> audiences != null && audiences.contains(audience))));
    return decoder;
  }
}

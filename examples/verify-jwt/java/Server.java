import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;

/**
 * An application that knows who is asking, because it verifies what Postern says.
 *
 * <p>mvn dependency:copy-dependencies -DoutputDirectory=lib && java -cp 'lib/*' Server.java; in front of it: postern dev
 * --to http://localhost:3000
 */
class Server {
  public static void main(String[] arguments) throws Exception {
    var jwksUrl = variable("JWKS_URL", "http://127.0.0.1:8080/.well-known/postern/jwks.json");
    // The host that people ask for. Without it a token for another application would do.
    var audience = variable("AUDIENCE", "app.localhost");
    var issuer = variable("ISSUER", audience);

    // Reads the keys again when a token names one that is not known, at most every five seconds.
    var keys = JWKSourceBuilder.<SecurityContext>create(URI.create(jwksUrl).toURL()).rateLimited(5_000).build();
    var verifier = new DefaultJWTProcessor<SecurityContext>();
    // Never what the token itself says: "none", or HS256 with the public key as its secret.
    verifier.setJWSKeySelector(
        new JWSVerificationKeySelector<>(Set.of(JWSAlgorithm.ES256, JWSAlgorithm.RS256), keys));
    verifier.setJWTClaimsSetVerifier(
        new DefaultJWTClaimsVerifier<>(
            audience, new JWTClaimsSet.Builder().issuer(issuer).build(), Set.of("exp", "sub")));

    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(variable("PORT", "3000"))), 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext("/", exchange -> answer(exchange, verifier));
    server.start();
  }

  private static void answer(HttpExchange exchange, DefaultJWTProcessor<SecurityContext> verifier) throws IOException {
    var body = new HashMap<String, Object>();
    var status = 200;
    try {
      var assertion = exchange.getRequestHeaders().getFirst("X-Postern-Jwt-Assertion");
      if (assertion == null) throw new SecurityException("this request did not come through Postern");
      var claims = verifier.process(assertion, null);
      for (var name : Set.of("sub", "email", "groups")) body.put(name, claims.getClaim(name));
    } catch (Exception refused) {
      status = 401;
      body.put("error", String.valueOf(refused.getMessage()));
    }
    var bytes = JSONObjectUtils.toJSONString((Map<String, ?>) body).getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    exchange.sendResponseHeaders(status, bytes.length);
    try (var out = exchange.getResponseBody()) {
      out.write(bytes);
    }
  }

  private static String variable(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}

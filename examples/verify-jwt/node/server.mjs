// An application that knows who is asking, because it verifies what Postern says.
// npm install && npm start; in front of it: postern dev --to http://localhost:3000
import { createServer } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const {
  PORT = '3000',
  JWKS_URL = 'http://127.0.0.1:8080/.well-known/postern/jwks.json',
  // The host that people ask for. Without it a token for another application would do.
  AUDIENCE = 'app.localhost',
  ISSUER = AUDIENCE,
} = process.env

// Reads the keys again when a token names one that is not known, at most every five seconds.
const keys = createRemoteJWKSet(new URL(JWKS_URL), { cooldownDuration: 5000 })

async function identityOf(request) {
  const assertion = request.headers['x-postern-jwt-assertion']
  if (!assertion) throw new Error('this request did not come through Postern')
  const { payload } = await jwtVerify(assertion, keys, {
    // Never what the token itself says: "none", or HS256 with the public key as its secret.
    algorithms: ['ES256', 'RS256'],
    audience: AUDIENCE,
    issuer: ISSUER,
    requiredClaims: ['exp', 'sub'],
  })
  return payload
}

async function answer(request) {
  try {
    const { sub, email, groups } = await identityOf(request)
    return { status: 200, body: { sub, email, groups } }
  } catch (error) {
    return { status: 401, body: { error: error.message } }
  }
}

async function serve(request, response) {
  const { status, body } = await answer(request)
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

createServer((request, response) => void serve(request, response)).listen(Number(PORT), '127.0.0.1')

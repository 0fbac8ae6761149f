import { createRemoteJWKSet, jwtVerify } from 'jose'

/**
 * Express middleware: `request.identity` is who Postern says is asking; without a good assertion the answer is 401.
 * `audience`: the host that people ask for.
 */
export function posternIdentity({ jwksUrl, audience, issuer = audience }) {
  const keys = createRemoteJWKSet(new URL(jwksUrl), { cooldownDuration: 5000 })
  const expected = { algorithms: ['ES256', 'RS256'], audience, issuer, requiredClaims: ['exp', 'sub'] }
  return async (request, response, next) => {
    try {
      const { payload } = await jwtVerify(request.get('X-Postern-Jwt-Assertion') ?? '', keys, expected)
      request.identity = payload
    } catch (error) {
      response.status(401).json({ error: error.message })
      return
    }
    next()
  }
}

/** After `posternIdentity`: only people of one of these groups, by name or id. */
export function requireGroup(...groups) {
  return ({ identity }, response, next) => {
    if (identity.groups?.some((group) => groups.includes(group))) next()
    else response.status(403).json({ error: `expected a member of ${groups.join(' or ')}` })
  }
}

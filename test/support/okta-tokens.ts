/** Tokens of the emulator, got as a client of its own gets them: code flow with PKCE, and client credentials. */
import { createHash, randomBytes } from 'node:crypto'
import { signInWith } from './okta-sign-in.ts'

export interface OktaTokens {
  readonly accessToken: string
  readonly idToken: string
  readonly refreshToken: string | undefined
}

const REDIRECT = 'http://127.0.0.1:1/callback'
/** A command-line program of somebody else: a public client beside Postern's own. */
export const CLI_APP = {
  id: '0oacli00000000client',
  label: 'CLI',
  kind: 'native',
  redirectUris: [REDIRECT],
  assignedTo: ['Everyone'],
} as const
/** A program with a secret. */
export const SERVICE_APP = {
  id: '0oaservice0000client',
  label: 'Nightly',
  kind: 'service',
  secret: 'nightly-secret-that-opens-nothing',
} as const

/** Signs `login` in at this authorization server (`base`: its URL) with `clientId`. */
export async function personTokens(
  base: string,
  login: string,
  options: Readonly<Partial<Record<'clientId' | 'scope' | 'redirectUri' | 'secret', string>>> = {},
): Promise<OktaTokens> {
  const { clientId = CLI_APP.id, scope = 'openid profile email', redirectUri = REDIRECT, secret = '' } = options
  const verifier = randomBytes(32).toString('base64url')
  const v1 = `${base}${base.includes('/oauth2/') ? '' : '/oauth2'}/v1`
  const query = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope,
    state: randomBytes(8).toString('hex'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  const callback = await signInWith(new URL(base).origin, `${v1}/authorize?${query}`, login)
  const response = await fetch(`${v1}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      code_verifier: verifier,
      client_id: clientId,
      ...(secret !== '' && { client_secret: secret }),
    }),
  })
  const body = (await response.json()) as Record<string, string>
  if (response.status !== 200) throw new Error(JSON.stringify(body))
  return {
    accessToken: body['access_token'] ?? '',
    idToken: body['id_token'] ?? '',
    refreshToken: body['refresh_token'],
  }
}

/** An access token of SERVICE_APP, by client credentials. */
export async function programToken(base: string, scope: string): Promise<string> {
  const response = await fetch(`${base}/v1/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${SERVICE_APP.id}:${SERVICE_APP.secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope }),
  })
  const body = (await response.json()) as Record<string, string>
  if (response.status !== 200) throw new Error(JSON.stringify(body))
  return body['access_token'] ?? ''
}

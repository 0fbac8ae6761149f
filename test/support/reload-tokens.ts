import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { personTokens } from './okta-tokens.ts'
import { APP, AUTH, type Running } from './reload-world.ts'

/** What the first application answers to a token of Alice, got with our own client, and whether the application saw it. */
export function shownToken(kind: 'idToken' | 'accessToken', okta: string): (running: Running) => Promise<unknown> {
  return async ({ browser }) => {
    const tokens = await personTokens(okta, 'alice@example.com', {
      clientId: DEMO.clientId,
      secret: DEMO.clientSecret,
      redirectUri: `${AUTH}/oauth2/callback`,
    })
    const headers = { authorization: `Bearer ${tokens[kind]}` }
    const { status, body } = await browser().ask(`${APP}/`, { headers })
    return [status, body.includes(tokens[kind])]
  }
}

/** What it answers to a token that names this issuer and is not signed: 503 when the issuer's keys are asked for. */
export function unsigned(issuer: string): (running: Running) => Promise<unknown> {
  const parts = [{ alg: 'RS256' }, { iss: issuer }].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  return async ({ browser }) =>
    (await browser().ask(`${APP}/`, { headers: { authorization: `Bearer ${parts.join('.')}.x` } })).status
}

/**
 * J01: what a provider signs for one purpose opens nothing as a bearer token of another, even with the audience that the
 * route wants: RFC 8725 §3.12. What is pushed to us is tried the other way round in provider-signals.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import type { JsonObject } from '../../src/types.ts'
import { createTestWorld, type World } from '../support/world.ts'

const AUTH = 'http://authenticate.localhost'
const API = 'api://default'
const ALICE = DEMO.people.alice
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

let world: World
beforeAll(async () => {
  const demo = demoSeed({ redirectUris: [`${AUTH}/oauth2/callback`] })
  const [server] = demo.authorizationServers ?? []
  world = await createTestWorld({
    okta: { seed: { ...demo, authorizationServers: [{ ...server, id: 'default' }] } },
    routes: [
      {
        from: 'http://access.localhost',
        allow_any_authenticated_user: true,
        bearer_token_format: 'idp_access_token',
        bearer_token_audience: API,
      },
      { from: 'http://id.localhost', allow_any_authenticated_user: true, bearer_token_format: 'idp_identity_token' },
    ],
  })
  await world.restart({ idp_provider_url: `${world.okta.url}/oauth2/default` })
})
afterAll(() => world.close())

const seconds = (): number => Math.floor(Date.now() / 1000)

/** Each as its issuer makes it, but for `aud`. */
const KINDS: Readonly<Record<string, () => readonly [header: JsonObject, claims: JsonObject]>> = {
  'access token': () => [{}, { sub: 'alice@example.com', uid: ALICE, cid: DEMO.clientId, scp: ['openid'] }],
  'access token (RFC 9068)': () => [
    { typ: 'at+jwt' },
    { sub: 'alice@example.com', uid: ALICE, cid: DEMO.clientId, scp: ['openid'], client_id: DEMO.clientId },
  ],
  'ID token': () => [{}, { sub: ALICE, nonce: 'n', at_hash: 'h', auth_time: seconds() }],
  'logout token': () => [
    { typ: 'logout+jwt' },
    { sub: ALICE, uid: ALICE, events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
  ],
  'logout token without typ': () => [
    {},
    {
      sub: ALICE,
      uid: ALICE,
      cid: DEMO.clientId,
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    },
  ],
  'security event': () => [{ typ: 'secevent+jwt' }, { sub: ALICE, uid: ALICE, events: { [CAEP]: {} } }],
  'global token revocation': () => [
    { typ: 'global-token-revocation+jwt' },
    { sub: ALICE, uid: ALICE, cid: DEMO.clientId },
  ],
}
const ROUTES = {
  access: { aud: API, takes: ['access token', 'access token (RFC 9068)'] },
  id: { aud: DEMO.clientId, takes: ['ID token'] },
} as const

for (const [host, { aud, takes }] of Object.entries(ROUTES)) {
  describe(`a route that takes ${takes[0]}s`, () => {
    test.each(Object.keys(KINDS))('%s', async (kind) => {
      const [header, claims] = KINDS[kind]?.() ?? [{}, {}]
      const iat = seconds()
      const whole = { iss: `${world.okta.url}/oauth2/default`, aud, iat, exp: iat + 600, jti: kind, ...claims }
      const token = await world.okta.signals.sign(header, whole, 'default')
      const headers = { authorization: `Bearer ${token}`, accept: 'application/json' }
      const answer = await world.browser().ask(`http://${host}.localhost/x`, { headers })
      expect(answer.status).toBe((takes as readonly string[]).includes(kind) ? 200 : 401)
    })
  })
}

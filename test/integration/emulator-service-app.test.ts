import { randomUUID } from 'node:crypto'
import okta from '@okta/okta-sdk-nodejs'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import type { ServiceKey } from '../../emulator/okta/model/types.ts'
import { systemClock } from '../../emulator/okta/clock.ts'

const CLIENT = '0oaservice0000000app'
const KID = 'key-1'
const GRANTED = ['okta.groups.read', 'okta.users.read', 'okta.logs.read']

let keys: Awaited<ReturnType<typeof generateKeyPair>>
let publicKey: ServiceKey
let emulator: OktaEmulator

beforeAll(async () => {
  keys = await generateKeyPair('RS256', { extractable: true })
  publicKey = { ...((await exportJWK(keys.publicKey)) as ServiceKey), kid: KID }
})
beforeEach(async () => {
  emulator = await createOktaEmulator({
    seed: {
      groups: [{ name: 'Engineering' }],
      people: [{ login: 'alice@example.com', groups: ['Engineering'] }],
      apps: [
        {
          id: CLIENT,
          label: 'Postern',
          kind: 'service',
          jwks: [publicKey],
          grantedScopes: GRANTED,
          role: 'READ_ONLY_ADMIN',
        },
        { id: '0oaweb00000000000app', secret: 'a secret of the web app', redirectUris: ['https://app.example/cb'] },
      ],
    },
  })
})
afterEach(() => emulator.close())

const now = (): number => Math.floor(systemClock.now() / 1000)

async function assertion(change: JWTPayload = {}, kid = KID): Promise<string> {
  const claims = { iss: CLIENT, sub: CLIENT, aud: `${emulator.url}/oauth2/v1/token`, exp: now() + 300, ...change }
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(keys.privateKey)
}

async function askToken(fields: Record<string, string>, headers: Record<string, string> = {}) {
  const response = await fetch(`${emulator.url}/oauth2/v1/token`, {
    method: 'POST',
    headers,
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: GRANTED.join(' '), ...fields }),
  })
  return { status: response.status, json: await response.json() }
}

const signed = (jwt: string): Record<string, string> => ({
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: jwt,
})

async function tokenFor(scope: string): Promise<string> {
  const { json } = await askToken({ ...signed(await assertion()), scope })
  return json.access_token
}

async function api(path: string, token: string, method = 'GET') {
  const response = await fetch(`${emulator.url}/api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
  })
  return { status: response.status, headers: response.headers, json: await response.json() }
}

test("Okta's Node SDK gets a token with its private key and reads groups, people and the log", async () => {
  const privateKey = { ...(await exportJWK(keys.privateKey)), kid: KID }
  const client = new okta.Client({
    orgUrl: emulator.url,
    authorizationMode: 'PrivateKey',
    clientId: CLIENT,
    scopes: GRANTED,
    privateKey: JSON.stringify(privateKey),
  })
  emulator.removeMember('Engineering', 'alice')
  const groups: string[] = []
  await (await client.groupApi.listGroups()).each((group) => {
    groups.push(group.profile?.name ?? '')
  })
  expect(groups).toEqual(['Everyone', 'Engineering'])
  expect((await client.userApi.getUser({ userId: 'alice@example.com' })).profile?.login).toBe('alice@example.com')
  const events: string[] = []
  const since = new Date(systemClock.now() - 60_000).toISOString()
  await (await client.systemLogApi.listLogEvents({ since, until: new Date(systemClock.now()).toISOString() })).each(
    (event) => {
      events.push(event.eventType ?? '')
    },
  )
  expect(events).toEqual(['group.user_membership.remove'])
  // One token for all of them.
  expect(emulator.calls().filter(({ path }) => path === '/oauth2/v1/token')).toHaveLength(1)
})

describe('the token endpoint', () => {
  test('gives a token for an hour, with the scopes that were asked for', async () => {
    expect(await askToken({ ...signed(await assertion()), scope: 'okta.logs.read' })).toEqual({
      status: 200,
      json: { token_type: 'Bearer', expires_in: 3600, access_token: expect.any(String), scope: 'okta.logs.read' },
    })
  })

  test.each([
    ['no credentials', async () => ({}), 'No client credentials found.'],
    [
      'an unknown client',
      async () => signed(await assertion({ sub: 'x' })),
      "Invalid value for 'client_id' parameter.",
    ],
    ['an unknown key', async () => signed(await assertion({}, 'key-2')), 'The client_assertion JWT kid is invalid.'],
    [
      'a broken signature',
      async () => signed(`${(await assertion()).slice(0, -10)}AAAAAAAAAA`),
      'The client_assertion signature is invalid.',
    ],
    [
      'another audience',
      async () => signed(await assertion({ aud: emulator.url })),
      'The audience claim for client_assertion must be the endpoint invoked for the request.',
    ],
    [
      'another issuer',
      async () => signed(await assertion({ iss: 'x' })),
      'The issuer and subject of client_assertion must be the client_id.',
    ],
    [
      'an expired assertion',
      async () => signed(await assertion({ exp: now() - 10 })),
      'The client_assertion token is expired, or expires too far in the future.',
    ],
    [
      'an assertion for two hours',
      async () => signed(await assertion({ exp: now() + 7200 })),
      'The client_assertion token is expired, or expires too far in the future.',
    ],
    ['no JWT', async () => signed('x.y.z'), 'The client_assertion token is not a valid JWT.'],
  ])('%s is 401 invalid_client', async (_name, fields, error_description) => {
    expect(await askToken(await fields())).toEqual({
      status: 401,
      json: { error: 'invalid_client', error_description },
    })
  })

  test('a client secret is not enough for the org server', async () => {
    const error_description =
      'Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.'
    const basic = Buffer.from('0oaweb00000000000app:a secret of the web app').toString('base64')
    for (const answer of [
      await askToken({}, { authorization: `Basic ${basic}` }),
      await askToken({ client_id: '0oaweb00000000000app', client_secret: 'a secret of the web app' }),
    ]) {
      expect(answer).toEqual({ status: 401, json: { error: 'invalid_client', error_description } })
    }
  })

  test('an assertion with a jti is accepted once', async () => {
    const fields = signed(await assertion({ jti: randomUUID() }))
    expect((await askToken(fields)).status).toBe(200)
    expect(await askToken(fields)).toMatchObject({ status: 401, json: { error: 'invalid_client' } })
  })

  test('a scope that was not granted to the app is refused', async () => {
    expect(await askToken({ ...signed(await assertion()), scope: 'okta.groups.manage' })).toEqual({
      status: 400,
      json: {
        error: 'invalid_scope',
        error_description: 'One or more scopes are not configured for the authorization server resource.',
      },
    })
  })
})

describe('the management API', () => {
  test.each([
    ['groups', 'okta.groups.read'],
    ['users', 'okta.users.read'],
    ['users/alice@example.com/groups', 'okta.users.read'],
    ['logs', 'okta.logs.read'],
  ])('%s needs %s', async (path, scope) => {
    expect((await api(path, await tokenFor(scope))).status).toBe(200)
    const other = GRANTED.find((granted) => granted !== scope) ?? ''
    const refused = await api(path, await tokenFor(other))
    expect(refused).toMatchObject({ status: 403, json: { errorCode: 'E0000006' } })
    expect(refused.headers.get('www-authenticate')).toBe(
      'Bearer error="insufficient_scope", error_description="The access token provided does not contain the required scopes."',
    )
  })

  test('scopes without a role give no access, nor does a role without the scope', async () => {
    const token = await tokenFor('okta.groups.read')
    emulator.updateApp(CLIENT, { role: 'NONE' })
    expect(await api('groups', token)).toMatchObject({ status: 403, json: { errorCode: 'E0000006' } })
    emulator.updateApp(CLIENT, { role: 'SUPER_ADMIN' })
    expect((await api('groups', token)).status).toBe(200)
    expect(await api('groups', token, 'POST')).toMatchObject({ status: 403, json: { errorCode: 'E0000006' } })
  })

  test('okta.eventHooks.manage registers hooks', async () => {
    emulator.updateApp(CLIENT, { role: 'SUPER_ADMIN', grantedScopes: ['okta.eventHooks.manage'] })
    const token = await tokenFor('okta.eventHooks.manage')
    expect((await api('eventHooks', token)).json).toEqual([])
    expect(await api('eventHooks', token, 'POST')).toMatchObject({ status: 400, json: { errorCode: 'E0000003' } })
  })

  test('the app has a ceiling of its own in every bucket, under its client id', async () => {
    await api('groups', await tokenFor('okta.groups.read'))
    expect(emulator.buckets().map(({ scope, bucket, limit }) => [bucket, scope, limit])).toContainEqual([
      '/api/v1/groups',
      CLIENT,
      250,
    ])
  })

  test('an unknown token gets E0000011', async () => {
    const { status, headers, json } = await api('groups', 'made-up')
    expect([status, json.errorCode]).toEqual([401, 'E0000011'])
    expect(headers.get('www-authenticate')).toContain('invalid_token')
  })
})

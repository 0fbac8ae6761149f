/** L09: JSON by which others change something. Bytes that two readers could take for two things change nothing. */
import { afterEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const AUTH = 'http://authenticate.localhost'
const SCIM = 'scim-token-of-this-test-0123456789abcdef'
const HOOK = 'the-secret-of-event-hooks-here'

let world: World
afterEach(() => world.close())

async function push(path: string, authorization: string, type: string, body: string | Buffer): Promise<number> {
  const bytes = Buffer.from(body)
  const head = [
    `POST /.postern/${path} HTTP/1.1`,
    'host: authenticate.localhost',
    'connection: close',
    `authorization: ${authorization}`,
    `content-type: application/${type}`,
    `content-length: ${bytes.length}`,
  ]
  const [answer] = await sendRaw(world.port, Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes]))
  return answer?.status ?? 0
}

/** What each endpoint takes, with a member behind it that says nothing. */
const ENDPOINTS = {
  'a person by SCIM': {
    config: { idp_service_account: undefined, directory: { scim_token: SCIM } },
    good: 201,
    send: (more: string | Buffer) =>
      push('scim/v2/Users', `Bearer ${SCIM}`, 'scim+json', object('"userName":"eve"', more)),
  },
  'an event hook of Okta': {
    config: { directory: { okta: { event_hook_secret: HOOK } } },
    good: 204,
    send: (more: string | Buffer) => push('hooks/okta', HOOK, 'json', object('"data":{"events":[]}', more)),
  },
  'a universal logout': {
    config: {},
    // Of somebody who is unknown.
    good: 404,
    send: async (more: string | Buffer) => {
      const now = Math.floor(Date.now() / 1000)
      const claims = { iss: world.okta.url, sub: DEMO.clientId, aud: `${AUTH}/.postern/universal_logout` }
      const token = await world.okta.signals.sign(
        { typ: 'global-token-revocation+jwt' },
        { ...claims, jti: `${Math.random()}`, iat: now, exp: now + 300 },
      )
      const subject = `"sub_id":{"format":"iss_sub","iss":"${world.okta.url}","sub":"eve"}`
      return push('universal_logout', `Bearer ${token}`, 'json', object(subject, more))
    },
  },
} as const

function object(member: string, more: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`{${member},"note":`), Buffer.from(more), Buffer.from('}')])
}

describe.each(Object.entries(ENDPOINTS))('%s', (_, { config, good, send }) => {
  test('is taken as JSON in UTF-8 that names nothing twice, and in no other form', async () => {
    world = await createTestWorld({ config })
    expect(await send('"Zoë"')).toBe(good)
    for (const more of [
      '1,"note":1',
      '1,"n\\u006fte":1',
      '{"a":{"b":1,"b":1}}',
      Buffer.from([0x22, 0x5a, 0x6f, 0xeb, 0x22]),
      Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
    ]) {
      expect(await send(more)).toBe(400)
    }
  })
})

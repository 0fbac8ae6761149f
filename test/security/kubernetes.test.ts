/**
 * A service account that may impersonate can act as anybody: a request with its token names the person who is signed in and
 * nobody else, whatever the client sends, and without a person there is no token.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

const TOKEN = 'token.of-the_account'
const HEADERS = ['authorization', 'impersonate-user', 'impersonate-group']

let gauntlet: Gauntlet
beforeAll(async () => {
  const cluster = { kubernetes_service_account_token: TOKEN, groups_format: 'names' }
  gauntlet = await createGauntlet({
    people: ['alice', 'eve'],
    moreRoutes: [
      { name: 'cluster', prefix: '/cluster', allow_any_authenticated_user: true, ...cluster },
      { name: 'by id', prefix: '/ids', allow_any_authenticated_user: true, ...cluster, groups_format: 'ids' },
      // Rules that let anybody in.
      { name: 'open', prefix: '/lax', policy: [{ allow: { or: [{ accept: true }] } }], ...cluster },
    ],
    prepare(okta) {
      const groups = ['system:masters', 'System:Nodes', 'x,admins', 'a\r\nImpersonate-Group: b', 'Zürich']
      for (const name of groups) okta.addGroup(name)
      okta.addUser({ login: 'eve@example.com' }, groups)
    },
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  expect(gauntlet.world.logText()).not.toContain(TOKEN)
  await gauntlet.close()
})

const SPOOFED = [
  'Authorization: Bearer SPOOF',
  'Impersonate-User: SPOOF',
  'impersonate_user: SPOOF',
  'Impersonate.Group: SPOOF',
  'Impersonate-Group: SPOOF',
  'Impersonate-Uid: SPOOF',
  'Impersonate-Extra-Scopes: SPOOF',
  'X-Remote-User: SPOOF',
]
const HANDSHAKE = ['Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']

/** The headers that the API server believes. `nominated`: the client has them removed, which must not remove ours. */
async function told(target: string, cookie: readonly string[], { upgrade = false, nominated = false } = {}) {
  const bytes = request('GET', target, ...cookie, ...SPOOFED, ...(upgrade ? HANDSHAKE : []))
  const connection = `Connection: ${upgrade ? 'Upgrade' : 'close'}${nominated ? ', Authorization, Impersonate-User' : ''}`
  const { received } = await gauntlet.send(bytes.replace('Connection: close', connection), {
    ...(upgrade && { until: /\r\n\r\n/ }),
  })
  const { headers } = only(received)
  expect(headers.flat().join()).not.toContain('SPOOF')
  return headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => HEADERS.includes(name) || name.startsWith('impersonate'))
}

const ALICE = [
  ['authorization', `Bearer ${TOKEN}`],
  ['impersonate-user', 'alice@example.com'],
  ['impersonate-group', 'Engineering'],
  ['impersonate-group', 'Everyone'],
]

test.each([
  ['a request', {}],
  ['a request that nominates them', { nominated: true }],
  ['a WebSocket', { upgrade: true }],
  ['a WebSocket that nominates them', { upgrade: true, nominated: true }],
])('%s of somebody who is signed in carries the token and names that person', async (_, how) => {
  const headers = await told('/cluster/api', [`Cookie: ${gauntlet.cookies['alice']}`], how)
  expect(headers.slice(0, 2)).toEqual(ALICE.slice(0, 2))
  expect(headers.slice(2)).toEqual(expect.arrayContaining(ALICE.slice(2)))
  expect(headers).toHaveLength(ALICE.length)
})

test('groups are told in the format of the route', async () => {
  const headers = await told('/ids/api', [`Cookie: ${gauntlet.cookies['alice']}`])
  expect(headers.slice(2)).toEqual(
    expect.arrayContaining([
      ['impersonate-group', DEMO.groups.engineering],
      ['impersonate-group', DEMO.groups.everyone],
    ]),
  )
})

test('a group is one header and one line, and none of the cluster itself', async () => {
  const headers = await told('/cluster/api', [`Cookie: ${gauntlet.cookies['eve']}`])
  expect(
    headers
      .slice(2)
      .map(([, value]) => value)
      .toSorted(),
  ).toEqual(['Everyone', 'Z%C3%BCrich', 'a%0D%0AImpersonate-Group: b', 'x,admins'])
})

test.each([
  ['a request', false],
  ['a WebSocket', true],
])('%s of nobody carries no token, and names nobody', async (_, upgrade) => {
  expect(await told('/lax/api', [], { upgrade })).toEqual([])
  expect((await told('/lax/api', [`Cookie: ${gauntlet.cookies['alice']}`], { upgrade })).length).toBe(ALICE.length)
})

test('without a session there is no way to the cluster', async () => {
  const { statuses, received } = await gauntlet.get('/cluster/api', ...SPOOFED)
  expect({ statuses, received }).toEqual({ statuses: [401], received: [] })
})

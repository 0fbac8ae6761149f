/**
 * An application behind the proxy believes its identity headers. Proxies have been passed by with another spelling of
 * a name (CVE-2025-64484 `X-Forwarded_User`, CVE-2026-54763 underscores, CVE-2026-88011 dots), with the name of a claim
 * that the person does not have (CVE-2026-30851), by naming the header in `Connection`, and on exits that were forgotten:
 * public routes and WebSockets. Here every exit gets all of it at once, over real sockets.
 */
import { describe, expect, test } from 'vitest'
import { identityHeaders } from '../../src/lib/header-names.ts'
import type { Principal } from '../../src/policy/model.ts'
import {
  answering,
  client,
  forwarder,
  forwarderConfig,
  front,
  OK,
  principal,
  rawUpstream,
  route,
  NAMING,
} from '../unit/upstream/support.ts'

const NAMES = [
  'X-Postern-Jwt-Assertion',
  'x-pOstern-claim-email',
  'X_Postern_Claim_Groups',
  'X.Postern.Claim.Email',
  'X-Pomerium_Claim.Email',
  'X-Pomerium-Jwt-Assertion',
  'X-Forwarded_User',
  'X.Forwarded.Groups',
  'X-Forwarded-Email',
  'X-Auth-Request-User',
  'X.Auth.Request.User',
  'Remote-User',
  'REMOTE_USER',
  'X-Remote-Group',
  'Impersonate-User',
  'X-Real-Ip',
  'Forwarded',
  'X-Original-Url',
  'X-Rewrite-Url',
  'X-Request-Id',
  'X-Corp-Team',
  'X_Corp_Team',
]
const SPOOFED = [
  ...NAMES.map((name) => `${name}: evil`),
  ...NAMES.map((name) => `${name.toUpperCase()}: evil, evil`),
  'X-Forwarded-For: evil',
  'Authorization: Pomerium evil',
  'Cookie: postern=evil; __Host-postern=evil',
  'Cookie: __Host-postern=evil',
].join('\r\n')

const claims = new Map([
  ['x-postern-claim-email', 'email'],
  ['x-corp-team', 'team'],
])
// The example of RFC 6455 §1.3.
const ACCEPT =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'
const REQUEST = `GET / HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive\r\n${SPOOFED}\r\n\r\n`
const WEBSOCKET = `GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${SPOOFED}\r\n\r\n`
/** Has ours removed, if it could; beside it nobody sees whether we remove its own. */
const NOMINATED = 'x-postern-jwt-assertion, x-postern-claim-email, x-forwarded-for, cookie'

interface Exit {
  readonly send: string
  readonly answer: string
  readonly who?: Principal
  readonly pass?: boolean
}

describe.each([
  ['', ''],
  [' and nominated', `, ${NOMINATED}`],
])('an identity header of a client%s', (_, nominated) => {
  test.each<[string, Exit]>([
    ['a public route', { send: REQUEST, answer: OK }],
    ['a signed-in route', { send: REQUEST, answer: OK, who: principal() }],
    ['a route that passes no identity', { send: REQUEST, answer: OK, who: principal(), pass: false }],
    ['a WebSocket on a public route', { send: WEBSOCKET, answer: ACCEPT }],
    ['a WebSocket on a signed-in route', { send: WEBSOCKET, answer: ACCEPT, who: principal() }],
  ])('is not sent upstream by %s', async (_, { send, answer, who, pass = true }) => {
    const upstream = await rawUpstream(answering(answer))
    const to = route(upstream.origin, { identity: { pass, claimHeaders: claims } })
    const { port } = await front(
      to,
      forwarder(undefined, forwarderConfig({ identityHeaders: identityHeaders(NAMING, claims.keys()) })),
      who ? { who } : {},
    )
    const wire = await client(port)
    wire.send(send.replace(/(?<=Connection: .*)\r\n/, `${nominated}\r\n`))
    await wire.seen(/^HTTP\/1.1 (?:200|101) /)

    const got = upstream.connections.all[0]?.received() ?? ''
    expect(got).not.toMatch(/evil/i)
    const told = (name: string): string[] =>
      got.split('\r\n').filter((line) =>
        line
          .toLowerCase()
          .replaceAll(/[^a-z0-9:]/g, '-')
          .startsWith(`${name}:`),
      )
    const known = who !== undefined && pass
    expect(told('x-postern-claim-email')).toEqual(known ? ['x-postern-claim-email: alice@corp.test'] : [])
    expect(told('x-postern-jwt-assertion')).toHaveLength(known ? 1 : 0)
    // Alice has no team: no header, rather than the client's.
    expect(told('x-corp-team')).toEqual([])
    expect(told('x-forwarded-for')).toEqual(['x-forwarded-for: 127.0.0.1'])
    expect(told('x-request-id')).toEqual(['x-request-id: req-1'])
  })
})

/**
 * attack-cases.md L02 (a person who was put out: CVE-2025-53942), L05 (idle and absolute limits), K06 (replay after the end:
 * CVE-2024-21492, Teleport 9.3.25). A cookie that somebody kept opens nothing on any host and in any process, and nothing that is sent with it
 * brings the session back.
 */
import { afterEach, expect, test } from 'vitest'
import { manualClock, type ManualClock } from '../support/clock.ts'
import { timePasses, whileTimePasses } from '../support/passing-time.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const MINUTE = 60_000
const HOSTS = ['engineering.localhost', 'everyone.localhost', 'authenticate.localhost']
const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
]

let clock: ManualClock
let world: World
afterEach(() => world.close())

test.each([
  ['unused for session_idle_timeout', 'idle', () => clock.advance(21 * MINUTE)],
  ['over by cookie_expire', 'expired', () => clock.advance(181 * MINUTE)],
  [
    'refused by the provider',
    'refresh-refused',
    () => {
      world.okta.setStatus('alice@example.com', 'SUSPENDED')
      clock.advance(61 * MINUTE)
    },
  ],
] as const)('a session that is %s stays over', async (_, reason, end) => {
  clock = manualClock()
  world = await createTestWorld({
    clock,
    config: {
      // Nothing but the provider's answer tells of a suspension.
      idp_service_account: undefined,
      cookie_expire: '3h',
      ...(reason === 'idle' && { session_idle_timeout: '20m' }),
    },
  })
  const other = await world.another()
  const browser = world.browser()
  for (const host of ['engineering.localhost', 'everyone.localhost']) {
    const answer = await whileTimePasses(clock, world.signIn(browser, `http://${host}/`, 'alice@example.com'))
    expect(answer.status).toBe(200)
  }
  const kept = new Map(HOSTS.map((host) => [host, browser.cookies.get(host)?.get('postern') ?? '']))
  const ports = [world.port, other.app.listener.address.port]
  world.received.length = 0
  end()

  async function replay(): Promise<readonly number[]> {
    const statuses: number[] = []
    for (const port of ports) {
      for (const host of HOSTS.slice(0, 2)) {
        for (const [method, more] of [
          ['GET', ['Accept: application/json']],
          ['GET', ['Accept: text/html', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-User: ?1']],
          ['POST', ['Content-Length: 0', 'Accept: application/json']],
          ['GET', [...UPGRADE, `Origin: http://${host}`]],
        ] as const) {
          const cookies = [...kept.values()].map((value) => `postern=${value}`).join('; ')
          const text = [
            `${method} / HTTP/1.1`,
            `Host: ${host}`,
            `Cookie: ${cookies}`,
            ...more,
            'Connection: close',
            '',
            '',
          ]
            .join('\r\n')
            .replace(/Connection: Upgrade\r\n(.*)Connection: close\r\n/s, 'Connection: Upgrade\r\n$1')
          const [answer] = await whileTimePasses(clock, sendRaw(port, text))
          statuses.push(answer?.status ?? 0)
        }
      }
    }
    return statuses
  }

  for (let round = 0; round < 2; round++) {
    const statuses = await replay()
    expect(statuses).toHaveLength(16)
    // Scripts and upgrades are told, windows are sent to sign in.
    for (const status of statuses) expect([302, 401]).toContain(status)
  }
  expect(world.received).toHaveLength(0)
  await timePasses(clock, () => world.log().some(({ event }) => event === 'session-end'))
  expect(world.log().flatMap(({ event, reason: why }) => (event === 'session-end' ? [why] : []))).toEqual([reason])
})

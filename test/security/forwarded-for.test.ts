/**
 * A trusted hop speaks for its clients, and what it says cannot always be read (`unknown`, RFC 7239 §6.2; `10.1` and
 * `0x0a000001`, which are 10.0.0.1 to some and nothing to others, as in CVE-2021-28918). Judged by the hop's own address,
 * a deny rule misses strangers and an allow rule for the hop's network lets them in.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'

const LOOPBACK = { source_ip: '127.0.0.0/8' }
const TEN = { source_ip: '10.0.0.0/8' }
const ALL = { accept: true }

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    people: ['alice'],
    config: { trusted_proxies: ['127.0.0.1'] },
    moreRoutes: [
      { prefix: '/from-loopback', policy: [{ allow: { and: [LOOPBACK] } }] },
      { prefix: '/not-from-ten', policy: [{ allow: { and: [ALL] }, deny: { or: [TEN] } }] },
      { prefix: '/not-outside-ten', policy: [{ allow: { and: [ALL] }, deny: { nor: [TEN] } }] },
      { prefix: '/unless-ten', policy: [{ allow: { not: [TEN] } }] },
      { prefix: '/either', policy: [{ allow: { or: [{ email: { is: 'alice@example.com' } }, LOOPBACK] } }] },
    ],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const WITH_SOURCE_IP = ['/from-loopback', '/not-from-ten', '/not-outside-ten', '/unless-ten', '/either']
const UNREADABLE = ['unknown', '10.1', '0x0a000001', '012.0.0.1', 'fe80::1%lo', '', '10.0.0.1:_x', '\xa010.0.0.1']

describe.each(UNREADABLE)('X-Forwarded-For: %j of a trusted hop', (entry) => {
  test.each(WITH_SOURCE_IP)('%s, whose policy asks for source_ip, answers 403', async (path) => {
    for (const who of [[], [`Cookie: ${gauntlet.cookies['alice']}`]]) {
      const { statuses, received, lines } = await gauntlet.get(path, `X-Forwarded-For: ${entry}`, ...who)
      expect({ statuses, received }).toEqual({ statuses: [403], received: [] })
      expect(only(lines)).toMatchObject({
        client_ip: 'unknown',
        detail: 'X-Forwarded-For of a trusted hop cannot be read',
        reasons: ['policy-error'],
      })
    }
  })

  test('a route without such a rule is served; X-Forwarded-For upstream lacks the address of the hop', async () => {
    const { statuses, received } = await gauntlet.get('/public', `X-Forwarded-For: ${entry}`)
    expect(statuses).toEqual([200])
    expect(only(received).values('x-forwarded-for')).toEqual(['unknown, 127.0.0.1'])
  })
})

test('source_ip uses the readable entry, whatever stands before it', async () => {
  const status = async (path: string, chain: string) =>
    only((await gauntlet.get(path, `X-Forwarded-For: ${chain}`)).statuses)
  expect(await status('/not-from-ten', 'unknown, 10.0.0.1')).toBe(403)
  expect(await status('/not-from-ten', 'unknown, [::ffff:a00:1]:4711')).toBe(403)
  expect(await status('/not-from-ten', 'unknown, 192.0.2.1:4711')).toBe(200)
  expect(await status('/not-outside-ten', ', 10.0.0.1')).toBe(200)
  expect(await status('/from-loopback', '127.0.0.9')).toBe(200)
})

test('without X-Forwarded-For source_ip is the address of the trusted hop', async () => {
  expect((await gauntlet.get('/from-loopback')).statuses).toEqual([200])
})

test.each(['gopher', '', 'https,', 'http s', 'off'])('X-Forwarded-Proto: %j of a trusted hop is 400', async (proto) => {
  const { statuses, received, lines } = await gauntlet.send(request('GET', '/public', `X-Forwarded-Proto: ${proto}`))
  expect({ statuses, received }).toEqual({ statuses: [400], received: [] })
  expect(only(lines)).toMatchObject({ detail: 'X-Forwarded-Proto of a trusted hop cannot be read' })
})

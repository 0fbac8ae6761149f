/** An upstream that takes no connection gets no requests for a while: no client can bring that about. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEcho, type EchoUpstream } from '../support/echo.ts'
import { createGauntlet, type Gauntlet, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
let upstreams: readonly EchoUpstream[]
beforeAll(async () => {
  upstreams = [await createEcho(), await createEcho()]
  gauntlet = await createGauntlet({
    people: ['alice'],
    moreRoutes: [
      { name: 'two', prefix: '/two', to: upstreams.map(({ url }) => url), allow_public_unauthenticated_access: true },
    ],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
  for (const upstream of upstreams) await upstream.close()
})

test.each([
  ['a malformed chunk', 'Transfer-Encoding: chunked', 'zz\r\nabc'],
  ['a malformed chunk behind a good one', 'Transfer-Encoding: chunked', '3\r\nabc\r\nzz\r\n'],
])('%s in the same piece as its head sets no upstream aside', async (_, framing, body) => {
  const { statuses } = await gauntlet.send(request('POST', '/two/x', framing) + body)
  expect(statuses).toEqual([400])
  expect(gauntlet.world.log().filter(({ level }) => level === 'warn')).toEqual([])
  const before = upstreams.map(({ received }) => received.length)
  for (let i = 0; i < 4; i++) await gauntlet.get('/two/y')
  expect(upstreams.map(({ received }, i) => received.length - (before[i] ?? 0))).toEqual([2, 2])
})

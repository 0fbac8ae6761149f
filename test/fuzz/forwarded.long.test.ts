/** What reaches an upstream is what was cut and judged, and nothing else: whole requests, one by one, framed anew (I8). */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createGauntlet, type Gauntlet } from '../support/gauntlet.ts'
import { createRandom } from './random.ts'
import { type ReadRequest, weRead } from './reading.ts'
import { requestBytes } from './request-bytes.ts'

const CASES = Number(process.env['FUZZ_CASES'] ?? 500)
const SEED = Number(process.env['FUZZ_SEED'] ?? 9110)

const HOST = 'fuzz.localhost'
const LAST = `GET /last HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet({
    moreRoutes: [{ name: 'fuzz', from: `http://${HOST}`, allow_public_unauthenticated_access: true }],
  })
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

/** Sequences that pass whole, ordinary or not. */
function* passing(count: number): Generator<{ readonly bytes: Buffer; readonly ours: readonly ReadRequest[] }> {
  const random = createRandom(SEED)
  for (let found = 0; found < count; ) {
    const bytes = Buffer.from(requestBytes(random).replaceAll('Host: a\r\n', `Host: ${HOST}\r\n`), 'latin1')
    const ours = weRead(bytes)
    if (ours.length === 0 || !ours.every(isForwarded)) continue
    found++
    yield { bytes: bytes.subarray(0, ours.at(-1)?.end), ours }
  }
}

/** A request of the route, and no WebSocket. */
function isForwarded({ headers, body }: ReadRequest): boolean {
  return body !== undefined && headers[headers.indexOf('host') + 1] === HOST
}

test(`of ${CASES} byte sequences that pass (seed ${SEED}) each request arrives once, in order, as it was judged`, async () => {
  for (const { bytes, ours } of passing(CASES)) {
    const closes = ours.at(-1)?.last === true
    const sent = closes ? bytes : Buffer.concat([bytes, Buffer.from(LAST)])
    const methods = [...ours.map(({ method }) => method), 'GET']
    const { statuses, received } = await gauntlet.send(sent, { methods })
    const expected = [
      ...ours.map(({ method, path, body }) => ({ method, target: path, body, complete: true })),
      ...(closes ? [] : [{ method: 'GET', target: '/last', body: '', complete: true }]),
    ]
    const text = bytes.toString('latin1')
    const found = received.map(({ method, target, body, complete }) => ({ method, target, body, complete }))
    expect({ text, found, statuses }).toEqual({ text, found: expected, statuses: expected.map(() => 200) })
    for (const { headers, values } of received) {
      const framing = [...values('content-length'), ...values('transfer-encoding')]
      expect([values('host').length, framing.length <= 1]).toEqual([1, true])
      const names = headers.map(([name]) => name.toLowerCase())
      for (const hop of ['expect', 'trailer', 'te', 'upgrade', 'keep-alive']) expect(names).not.toContain(hop)
    }
  }
  expect(gauntlet.echo.garbage).toEqual([])
})

import { keyRingsOf } from '../../support/key-rings.ts'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { internName } from '../../../src/http/header-lines.ts'
import { networkOf } from '../../../src/lib/client-network.ts'
import { randomId } from '../../../src/lib/crypto.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { createCookieCheck } from '../../../src/session/cookie-check.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const HOST = 'application.corp.example'

/** MiB that the results of `keep` hold, each made from a head of 32 KiB as a connection cuts it. */
function held(keep: (head: string) => unknown): number {
  collect()
  const before = process.memoryUsage().heapUsed
  const results: unknown[] = []
  for (let i = 0; i < 1000; i++) results.push(keep(Buffer.alloc(32 * 1024, 'x').toString('latin1')))
  collect()
  const after = process.memoryUsage().heapUsed
  expect(results).toHaveLength(1000)
  return (after - before) / 2 ** 20
}

test('what is remembered of a session cookie keeps nothing else of its request', () => {
  const cookies = createCookieCheck(keyRingsOf(new Secret('s'.repeat(32))), 4096)
  const values = Array.from({ length: 1000 }, () => cookies.sign(randomId(), 'postern', HOST))
  let i = 0
  const verify = (head: string): unknown => {
    const text = `${HOST}${values[i++]}${head}`
    // Flat, as it comes from a buffer.
    const flat = Buffer.from(text, 'latin1').toString('latin1')
    const value = flat.slice(HOST.length, flat.length - head.length)
    const host = flat.slice(0, HOST.length)
    // Remembered from the second time on.
    return [cookies.verify(value, 'postern', host), cookies.verify(value, 'postern', host)]
  }
  expect(held(verify)).toBeLessThan(8)
})

test.each([16, 60, 100])('what is remembered of a header name of %i characters keeps nothing else', (length) => {
  const name = `x-${randomId()
    .replaceAll(/[^a-z]/gi, 'a')
    .toLowerCase()}`
  let i = 0
  const read = (head: string): unknown => {
    const spelling = `${name}-${i++}`.padEnd(length, 'a').slice(-length)
    return internName(Buffer.from(spelling + head, 'latin1').toString('latin1'), 0, length)
  }
  expect(held(read)).toBeLessThan(8)
})

test.each(['192.168.100.200', '2001:db8:1:2:3:4:5:6'])(
  'what is counted of the client %s keeps nothing else',
  (address) => {
    const count = (head: string): unknown => {
      const flat = Buffer.from(address + head, 'latin1').toString('latin1')
      return networkOf(flat.slice(0, address.length))
    }
    expect(held(count)).toBeLessThan(8)
  },
)

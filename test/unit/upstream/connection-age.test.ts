/** Connections to upstreams grow no older than a minute, so that a new address of the name is found. */
import dns from 'node:dns'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test, vi } from 'vitest'
import { manualClock } from '../../support/clock.ts'
import { cleanup, client, forwarder, front, route } from './support.ts'

interface Server {
  readonly port: number
  /** Requests so far, by connection. */
  readonly requests: number[]
  /** Of the requests to `/held`. */
  readonly held: ServerResponse[]
}

async function serving(address: string, port = 0): Promise<Server> {
  const requests: number[] = []
  const held: ServerResponse[] = []
  const numbers = new WeakMap<object, number>()
  const server = createServer((req, res) => {
    const number = numbers.get(req.socket) ?? requests.push(0) - 1
    numbers.set(req.socket, number)
    requests[number] = (requests[number] ?? 0) + 1
    if (req.url === '/held') held.push(res)
    else res.end(address)
  })
  server.listen(port, address)
  await once(server, 'listening')
  cleanup(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, requests, held }
}

test('a connection takes requests for a minute; then it is drained and the name is looked up again', async () => {
  const before = await serving('127.0.0.1')
  const after = await serving('127.0.0.2', before.port)
  const clock = manualClock()
  const { port } = await front(route(`http://upstream.test:${before.port}`, { timeout: 0 }), forwarder(clock))
  let address = '127.0.0.1'
  const [wire, slow] = [await client(port), await client(port)]
  const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((
    _: string,
    __: object,
    done: (...a: unknown[]) => void,
  ) => {
    done(null, [{ address, family: 4 }])
  }) as never)
  cleanup(() => lookup.mockRestore())

  const ask = async (path: string): Promise<string> => {
    const seen = wire.received().length
    wire.send(`GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`)
    return (await wire.seen(new RegExp(`^[^]{${seen},}(127\\.0\\.0\\.\\d)$`)))[1] ?? ''
  }
  slow.send('GET /held HTTP/1.1\r\nHost: app.test\r\n\r\n')
  await expect.poll(() => before.held.length).toBe(1)
  expect([await ask('/1'), await ask('/2')]).toEqual(['127.0.0.1', '127.0.0.1'])
  address = '127.0.0.2'
  for (let i = 3; i < 22; i++) {
    clock.advance(3000)
    expect(await ask(`/${i}`)).toBe('127.0.0.1')
  }
  clock.advance(3000)
  // The request that finds it a minute old is its last.
  expect([await ask('/22'), await ask('/23')]).toEqual(['127.0.0.1', '127.0.0.2'])
  expect(before.requests).toEqual([1, 22])
  expect(after.requests).toEqual([1])
  // What was under way is not cut.
  before.held[0]?.end('late')
  await slow.seen(/late/)
})

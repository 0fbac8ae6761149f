import { expect, test } from 'vitest'
import { answering, client, forwarder, front, rawUpstream, route } from './support.ts'

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'

test.each([
  ['a coding other than chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nbytes'],
  ['a coding before chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  ['chunked that is not the last coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n'],
  ['identity', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nbytes'],
  ['an empty coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\nbytes'],
  ['chunked twice', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['two framings', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['the status 000', 'HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['NUL in the reason', 'HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok'],
  ['CR in the reason', 'HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok'],
  ['a control character in the reason', 'HTTP/1.1 200 O\x1bK\r\nContent-Length: 2\r\n\r\nok'],
])('an answer with %s is 502', async (_, answer) => {
  const upstream = await rawUpstream(answering(answer))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_PROTOCOL' })
  await wire.seen(/^HTTP\/1.1 502 [^]*ERR_UPSTREAM_PROTOCOL$/)
  expect(wire.received().match(/HTTP\/1.1 /g)).toHaveLength(1)
})

test.each([
  ['a 304 with the length of the 200', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', /content-length: 9/i],
  ['a 204 with a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n', /^HTTP\/1.1 204/],
])('%s is whole, and the connection serves the next request (RFC 9110 §8.6)', async (_, answer, expected) => {
  const upstream = await rawUpstream(answering(answer))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  for (let i = 1; i <= 3; i++) {
    wire.send(GET)
    await wire.seen(new RegExp(`^(?:HTTP/1.1 [^]*?\r\n\r\n){${i}}$`))
    expect(wire.received()).toMatch(expected)
    const forwarded = await ended.next()
    expect(forwarded).toMatchObject({ bytesOut: 0 })
    expect(forwarded).not.toHaveProperty('cut')
  }
})

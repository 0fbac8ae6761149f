/** What the log says of a WebSocket that an application refused. */
import { expect, test } from 'vitest'
import { createEcho } from '../support/echo.ts'
import { createGauntlet, only } from '../support/gauntlet.ts'

test('a 403 to a WebSocket whose page is of another host than the Host sent leaves a hint in the log', async () => {
  const upstream = await createEcho(() => 'HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
  const gauntlet = await createGauntlet({
    people: [],
    moreRoutes: [
      { prefix: '/own', to: upstream.url, preserve_host_header: false, allow_public_unauthenticated_access: true },
      { prefix: '/client', to: upstream.url, preserve_host_header: true, allow_public_unauthenticated_access: true },
    ],
  })
  const hintOf = async (path: string, ...headers: readonly string[]) => {
    const { lines } = await gauntlet.send(
      [
        'GET ' + path + ' HTTP/1.1',
        'Host: app.localhost',
        ...headers,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        '',
        '',
      ].join('\r\n'),
    )
    return only(lines)['hint']
  }
  expect(await hintOf('/own', 'Origin: http://app.localhost')).toBe(
    `the page is of http://app.localhost and the Host sent is ${new URL(upstream.url).host}; many applications refuse a WebSocket then, see preserve_host_header`,
  )
  expect(await hintOf('/client', 'Origin: http://app.localhost')).toBeUndefined()
  expect(await hintOf('/client', 'Origin: http://other.localhost')).toContain('the page is of http://other.localhost')
  expect(await hintOf('/own')).toBeUndefined()
  expect(await hintOf('/own', 'Origin: null')).toBeUndefined()
  await gauntlet.close()
  await upstream.close()
})

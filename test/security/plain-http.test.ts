/** The listener of `http_redirect_addr`: nothing that a client writes decides where a redirect leads. */
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { createClientConnections, NO_LIMIT } from '../../src/server/client-connections.ts'
import { listenRedirect } from '../../src/server/redirect.ts'
import { sendRaw } from '../support/wire.ts'

async function start(): Promise<number> {
  const listener = await listenRedirect(
    { host: '127.0.0.1', port: 0 },
    {
      httpsOriginOf: (host) => new Map([['app.test', 'https://app.test:8443']]).get(host),
      challenge: async (token) =>
        token === 'broken' ? Promise.reject(new Error('store')) : { known: 'known.print' }[token],
      connections: createClientConnections(NO_LIMIT),
      clock: systemClock,
      logger: silentLogger,
    },
  )
  onTestFinished(() => listener.close())
  return listener.address.port
}

const ask = async (port: number, target: string, host: string, method = 'GET', more = '') =>
  (await sendRaw(port, `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`, { methods: [method] }))[0]

test.each([
  ['app.test', '/x?q=1', 'https://app.test:8443/x?q=1'],
  ['APP.test.:80', '/', 'https://app.test:8443/'],
  ['app.test', '//evil.test/', 'https://app.test:8443//evil.test/'],
  ['app.test', '/%0d%0aset-cookie:x', 'https://app.test:8443/%0d%0aset-cookie:x'],
])('a known host, %s %s, is redirected to its own https origin', async (host, target, location) => {
  const answer = await ask(await start(), target, host)
  expect([answer?.status, answer?.header('location'), answer?.header('connection')]).toEqual([308, location, 'close'])
})

test.each([
  ['an unknown host', '/', 'evil.test', 404],
  ['an unknown host behind a known one', '/', 'app.test.evil.test', 404],
  ['user information in the host', '/', 'app.test@evil.test', 404],
  ['two hosts in one line', '/', 'app.test, evil.test', 404],
  ['the absolute form', 'http://evil.test/', 'app.test', 400],
  ['a target that continues the host', '.evil.test/', 'app.test', 400],
  ['an asterisk', '*', 'app.test', 400],
])('%s is redirected nowhere', async (_, target, host, status) => {
  const answer = await ask(await start(), target, host, target === '*' ? 'OPTIONS' : 'GET')
  expect([answer?.status, answer?.header('location')]).toEqual([status, undefined])
})

test('a body that follows is not read as a request', async () => {
  const smuggled = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'
  const answers = await sendRaw(
    await start(),
    `POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}${smuggled}`,
  )
  expect(answers.map(({ status }) => status)).toEqual([308])
})

test.each([
  ['known', 200, 'known.print'],
  ['other', 404, 'not found\n'],
  ['../known', 404, 'not found\n'],
  ['known?x', 404, 'not found\n'],
  ['', 404, 'not found\n'],
  ['a'.repeat(300), 404, 'not found\n'],
  ['broken', 503, 'unavailable\n'],
])('the challenge %s answers %i, whatever the host', async (token, status, body) => {
  const answer = await ask(await start(), `/.well-known/acme-challenge/${token}`, 'nobody.test')
  expect([answer?.status, answer?.body]).toEqual([status, body])
})

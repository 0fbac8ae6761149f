/** Strict-Transport-Security (RFC 6797): on every answer of an https host, ours and its application's; nowhere else. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEcho, type EchoUpstream } from '../support/echo.ts'
import { only, request } from '../support/gauntlet.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const YEAR = 'max-age=31536000'
let world: World
let echo: EchoUpstream
beforeAll(async () => {
  echo = await createEcho(({ target }) => {
    const own = target.startsWith('/own') ? 'strict-transport-security: max-age=7\r\n' : ''
    return `HTTP/1.1 200 OK\r\n${own}Content-Length: 2\r\n\r\nok`
  })
  const route = (from: string, more: object) => ({ from, to: echo.url, ...more })
  world = await createTestWorld({
    config: { authenticate_service_url: 'https://authenticate.corp.example', insecure_server: true },
    routes: [
      route('https://open.corp.example', { allow_public_unauthenticated_access: true }),
      route('https://app.corp.example', { allow_any_authenticated_user: true }),
      route('https://gone.corp.example', { prefix: '/only', allow_any_authenticated_user: true }),
      route('http://plain.corp.example', { allow_public_unauthenticated_access: true }),
      { from: 'https://down.corp.example', to: 'http://127.0.0.1:1', allow_public_unauthenticated_access: true },
    ],
  })
})
afterAll(async () => {
  await world.close()
  await echo.close()
})

async function sent(host: string, target: string, ...headers: readonly string[]) {
  const { status, headers: all } = only(
    await sendRaw(world.port, request('GET', target, `Host: ${host}.corp.example`, ...headers)),
  )
  return [status, ...all.filter(([name]) => name === 'strict-transport-security').map(([, value]) => value)]
}

test.each<readonly [what: string, status: number, host: string, target: string, values: readonly string[]]>([
  ['an application’s answer', 200, 'open', '/x', [YEAR]],
  ['an application’s answer with its own', 200, 'open', '/own', ['max-age=7']],
  ['an answer over http', 200, 'plain', '/x', []],
  ['an answer over http with its own', 200, 'plain', '/own', ['max-age=7']],
  ['a redirect to the sign-in', 302, 'app', '/x', [YEAR]],
  ['a control path of an application’s host', 302, 'app', '/.postern/sign_in', [YEAR]],
  ['the sign-in service', 302, 'authenticate', '/', [YEAR]],
  ['its error page', 400, 'authenticate', '/oauth2/callback?state=x', [YEAR]],
  ['a path of the sign-in service that is none', 404, 'authenticate', '/nothing', [YEAR]],
  ['a path that is published nowhere on an https host', 404, 'gone', '/other', [YEAR]],
  ['an application that is down', 502, 'down', '/x', [YEAR]],
  ['a control path over http', 302, 'plain', '/.postern/sign_in', []],
  ['a host that is not ours', 404, 'evil', '/', []],
  ['a path that is refused', 400, 'open', '/%2f', [YEAR]],
  ['a request that could not be understood', 400, 'open', '/%zz', []],
])('%s: %i', async (_what, status, host, target, values) => {
  expect(await sent(host, target, 'Accept: text/html', 'Sec-Fetch-Mode: navigate')).toEqual([status, ...values])
})

test('401 for a script', async () => {
  expect(await sent('app', '/x', 'Accept: application/json')).toEqual([401, YEAR])
})

test('`off` and another value, from the next start on', async () => {
  await world.restart({ strict_transport_security: 'max-age=60; includeSubDomains' })
  expect(await sent('open', '/x')).toEqual([200, 'max-age=60; includeSubDomains'])
  expect(await sent('app', '/x')).toEqual([401, 'max-age=60; includeSubDomains'])
  await world.restart({ strict_transport_security: 'off' })
  expect(await sent('open', '/x')).toEqual([200])
  expect(await sent('app', '/x')).toEqual([401])
})

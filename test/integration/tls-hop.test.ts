/** TLS ends at nginx, Postern behind it speaks plain HTTP: applications see the address that people use. */
import { request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Nginx, startNginx } from '../support/nginx.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

let world: World
let nginx: Nginx
beforeAll(async () => {
  world = await createTestWorld({
    config: { insecure_server: true, authenticate_service_url: 'https://authenticate.corp.example' },
    routes: [
      { from: 'https://app.corp.example', allow_public_unauthenticated_access: true },
      { from: 'https://odd.corp.example:8443', allow_public_unauthenticated_access: true },
    ],
    // As applications do that insist on https.
    upstream(req, res) {
      const [scheme, host, port] = ['proto', 'host', 'port'].map((name) => String(req.headers[`x-forwarded-${name}`]))
      if (scheme === 'https') res.end(`${scheme} ${host} ${port}`)
      else res.writeHead(301, { location: `https://${host}${req.url}` }).end()
    },
  })
  nginx = await startNginx({
    tls: { certificate: CERTIFICATE, key: KEY },
    server: `location / { proxy_pass http://127.0.0.1:${world.port}; proxy_set_header Host $http_host; }`,
  })
})
afterAll(async () => {
  await nginx.close()
  await world.close()
})

/** Through nginx, as a client that trusts its certificate. */
async function ask(host: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({
      socketPath: nginx.socketPath,
      path: '/x',
      ca: CERTIFICATE,
      servername: 'app.internal',
      headers: { host, ...headers },
    })
      .on('response', resolve)
      .on('error', reject)
      .end()
  })
  response.setEncoding('utf8')
  let body = ''
  for await (const chunk of response) body += chunk as string
  return `${response.statusCode} ${body}`
}

test('an application that insists on https is content, although nobody is trusted', async () => {
  expect(await ask('app.corp.example')).toBe('200 https app.corp.example 443')
})

test('a port of the address is named', async () => {
  expect(await ask('odd.corp.example:8443')).toBe('200 https odd.corp.example:8443 8443')
})

test('a client changes neither', async () => {
  const forged = { 'x-forwarded-proto': 'http', 'x-forwarded-port': '9', 'x-forwarded-host': 'evil.example' }
  expect(await ask('app.corp.example', forged)).toBe('200 https app.corp.example 443')
})

/** A real nginx as the application: its redirects name the address that people use. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Nginx, startNginx } from '../support/nginx.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { sendRaw } from '../support/wire.ts'

let world: World
let nginx: Nginx
let port: number
const root = mkdtempSync(join(tmpdir(), 'postern-site-'))

beforeAll(async () => {
  mkdirSync(join(root, 'docs', 'docs'), { recursive: true })
  for (const folder of ['docs', 'docs/docs']) writeFileSync(join(root, folder, 'index.html'), `${folder}\n`)
  // Somebody else may take the port in between.
  for (let attempt = 0; ; attempt++) {
    port = await freePort()
    try {
      nginx = await startNginx({
        port,
        server: `root ${root};
          location = /else { return 302 https://elsewhere.example/x; }
          location = /told { return 302 http://$http_host/docs/; }`,
      })
      break
    } catch (error) {
      if (attempt === 4) throw error
    }
  }
  const to = `http://127.0.0.1:${port}`
  const open = { allow_public_unauthenticated_access: true }
  world = await createTestWorld({
    config: { insecure_server: true, authenticate_service_url: 'https://authenticate.corp.example' },
    routes: [
      { from: 'https://client.corp.example', to, ...open },
      { from: 'https://own.corp.example:8443', to, preserve_host_header: false, ...open },
      { from: 'https://fixed.corp.example', to, host_rewrite: 'site.internal', ...open },
      { from: 'https://strip.corp.example', to, prefix: '/site', prefix_rewrite: '/', ...open },
      { from: 'https://inner.corp.example', to: `${to}/docs/`, ...open },
    ],
  })
})
afterAll(async () => {
  await nginx.close()
  await world.close()
  rmSync(root, { recursive: true })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: free } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return free
}

async function ask(host: string, path: string) {
  const [answer] = await sendRaw(world.port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  return { status: answer?.status, location: answer?.header('location') }
}

test.each([
  ['client.corp.example', '/docs', 'https://client.corp.example/docs/'],
  ['own.corp.example:8443', '/docs?a=%2F', 'https://own.corp.example:8443/docs/?a=%2F'],
  ['fixed.corp.example', '/docs', 'https://fixed.corp.example/docs/'],
  ['fixed.corp.example', '/told', 'https://fixed.corp.example/docs/'],
  ['strip.corp.example', '/site/docs', 'https://strip.corp.example/site/docs/'],
  ['strip.corp.example', '/site/docs/docs', 'https://strip.corp.example/site/docs/docs/'],
  ['inner.corp.example', '/docs', 'https://inner.corp.example/docs/'],
])('the directory at %s%s redirects to %s, which is there', async (host, path, location) => {
  const { location: found } = await ask(host, path)
  expect(found).toBe(location)
  const { pathname, search } = new URL(location)
  expect((await ask(host, pathname + search)).status).toBe(200)
})

test("a redirect to somebody else's host is left alone", async () => {
  expect(await ask('client.corp.example', '/else')).toEqual({ status: 302, location: 'https://elsewhere.example/x' })
})

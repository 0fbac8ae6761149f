/**
 * A server that reads its paths as RabbitMQ's management API does behind Postern: a segment holds the name of a virtual
 * host, `%2F` for the default one. It has its own Authorization header.
 */
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Browser, createBrowser } from '../support/browser.ts'
import { listenOn, portOf } from '../support/world.ts'
import { ALICE, type Behind, startBehind } from './behind.ts'

const CREDENTIALS = `Basic ${Buffer.from('guest:guest').toString('base64')}`

/** Routes of /api/queues alone. */
function createManagementApi(): Server {
  const queues = new Set<string>()
  return createServer((req, res) => {
    const answer = (status: number, body?: unknown): void => void res.writeHead(status).end(JSON.stringify(body))
    const [, api, kind, vhost, name, ...rest] = (req.url ?? '').split('/').map(decodeURIComponent)
    if (req.headers.authorization !== CREDENTIALS) return answer(401)
    if (api !== 'api' || kind !== 'queues' || vhost !== '/' || rest.length > 0) return answer(404)
    if (name === undefined)
      return answer(
        200,
        [...queues].map((name) => ({ name, vhost })),
      )
    if (req.method === 'PUT') {
      queues.add(name)
      return answer(201)
    }
    if (req.method === 'DELETE') return answer(queues.delete(name) ? 204 : 404)
    return queues.has(name) ? answer(200, { name, vhost }) : answer(404)
  })
}

describe('a management API with %2F in its paths behind Postern', () => {
  let server: Server
  const opened: Behind[] = []
  async function open(more: Readonly<Record<string, unknown>>): Promise<{ behind: Behind; browser: Browser }> {
    const behind = await startBehind(`http://127.0.0.1:${portOf(server)}`, more)
    opened.push(behind)
    const browser = createBrowser()
    await behind.world.signIn(browser, `${behind.url}/`, ALICE)
    return { behind, browser }
  }
  beforeAll(async () => {
    server = await listenOn(createManagementApi())
  })
  afterAll(async () => {
    for (const behind of opened) await behind.close()
    server.close()
    server.closeAllConnections()
  })

  const headers = { authorization: CREDENTIALS, 'content-type': 'application/json' }

  test('with keep, a queue of the default virtual host is made, shown, listed and removed', async () => {
    const { behind, browser } = await open({ path_with_escaped_slashes_action: 'keep' })
    const ask = (method: string, path: string) =>
      browser.ask(`${behind.url}/api/queues/%2F${path}`, { method, headers, ...(method === 'PUT' && { body: '{}' }) })
    expect((await ask('PUT', '/orders%2Fnew')).status).toBe(201)
    expect(JSON.parse((await ask('GET', '/orders%2Fnew')).body)).toEqual({ name: 'orders/new', vhost: '/' })
    expect((await ask('GET', '/orders/new')).status).toBe(404)
    expect(JSON.parse((await ask('GET', '')).body)).toEqual([{ name: 'orders/new', vhost: '/' }])
    expect((await ask('DELETE', '/orders%2Fnew')).status).toBe(204)
  })

  test('without it the path is refused, and the log says why', async () => {
    const { behind, browser } = await open({})
    expect((await browser.ask(`${behind.url}/api/queues/%2F/orders`, { headers })).status).toBe(400)
    expect(behind.world.logText()).toContain('escaped slash (%2F or %5C) in the path')
  })
})

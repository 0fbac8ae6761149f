import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createOktaClient } from '../../src/directory/okta/client.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import { listenOn, portOf } from '../support/world.ts'

test('looks at the log share a connection, also where the server does not say how long it keeps one', async () => {
  let connections = 0
  const server = createServer((_req, res) => res.writeHead(200, { 'content-type': 'application/json' }).end('[]'))
  server.keepAliveTimeout = 0
  server.on('connection', () => connections++)
  await listenOn(server)
  const client = createOktaClient({
    origin: `http://127.0.0.1:${portOf(server)}`,
    credentials: { kind: 'token', token: new Secret('00token') },
    clock: systemClock,
    timeout: 10_000,
    budget: 0.5,
  })
  onTestFinished(async () => {
    await client.close()
    server.close()
  })
  const look = () => client.get('/api/v1/logs', {}, { signal: new AbortController().signal, priority: 'confirm' })
  await look()
  // As between two looks.
  await sleep(10_000)
  await look()
  expect(connections).toBe(1)
})

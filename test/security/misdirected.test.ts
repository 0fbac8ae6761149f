/** RFC 9110 §15.5.20: a connection that was made for one host, and a request for another. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAnswers } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const fixture = (name: string): string =>
  readFileSync(new URL(`../unit/config/fixtures/${name}`, import.meta.url), 'utf8')
let world: World

beforeAll(async () => {
  world = await createTestWorld({
    config: {
      authenticate_service_url: 'https://authenticate.corp.example',
      certificate: CERTIFICATE,
      certificate_key: KEY,
      // For *.corp.example.
      certificates: [{ cert: fixture('tls.crt'), key: fixture('tls.key') }],
      trusted_proxies: ['127.0.0.2'],
    },
    routes: ['app.internal', 'a.corp.example', 'b.corp.example', 'other.test'].map((host) => ({
      from: `https://${host}`,
      allow_public_unauthenticated_access: true,
    })),
  })
})
afterAll(() => world.close())

/** Status of the answer, and whether the connection ends behind it. */
function ask(servername: string, host: string, localAddress = '127.0.0.1'): Promise<string> {
  return new Promise((resolve) => {
    const options = { port: world.port, host: '127.0.0.1', servername, localAddress, rejectUnauthorized: false }
    const socket = connect(options, () => socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`))
    let text = ''
    socket.on('data', (piece: Buffer) => {
      text += piece.toString('latin1')
      if (parseAnswers(text)[0]?.complete) socket.end()
    })
    socket.on('close', () => {
      const [answer] = parseAnswers(text)
      resolve(`${answer?.status}${answer?.header('connection') === 'close' ? ' close' : ''}`)
    })
  })
}

test.each([
  ['the same host', 'a.corp.example', 'a.corp.example', '200'],
  ['the same host in another spelling', 'A.corp.example', 'a.CORP.example:443', '200'],
  ['two hosts of one certificate', 'a.corp.example', 'b.corp.example', '200'],
  ['two hosts that no certificate covers', 'none.test', 'other.test', '200'],
  ['a host of the certificate that is shown to whom no other covers', 'none.test', 'app.internal', '200'],
  ['no server name', '', 'b.corp.example', '200'],
  ['hosts of two certificates', 'a.corp.example', 'app.internal', '421 close'],
  ['the other way round', 'app.internal', 'a.corp.example', '421 close'],
  ['a host that the wildcard does not reach', 'a.corp.example', 'x.a.corp.example', '421 close'],
  ['a host that only the first certificate stands for', 'a.corp.example', 'other.test', '421 close'],
  ['the sign-in service', 'app.internal', 'authenticate.corp.example', '421 close'],
])('%s: %s asked for %s is %s', async (_, servername, host, status) => {
  const reached = world.received.length
  expect(await ask(servername, host)).toBe(status)
  expect(world.received.length - reached).toBe(status === '200' ? 1 : 0)
})

test('a trusted hop names its connection as it likes', async () => {
  expect(await ask('app.internal', 'a.corp.example', '127.0.0.2')).toBe('200')
})

test('a refusal is logged with the host that was asked', async () => {
  await ask('app.internal', 'b.corp.example')
  expect(world.log().at(-1)).toMatchObject({ status: 421, host: 'b.corp.example' })
})

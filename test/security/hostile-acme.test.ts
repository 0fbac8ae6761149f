/** An ACME server that does what it likes: every answer is bounded in time and size, and leads nowhere else. */
import { createServer, type Server } from 'node:https'
import type { RequestListener } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { generateKey, openAcmeAccount, ORDER_TIMEOUT } from '../../src/certificates/acme.ts'
import { manualClock } from '../support/clock.ts'
import { listenOn, portOf } from '../support/world.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const clock = manualClock()

async function register(answer: (origin: string) => RequestListener, close = new AbortController().signal) {
  let listener: RequestListener = () => {}
  const server: Server = createServer({ cert: CERTIFICATE, key: KEY }, (req, res) => listener(req, res))
  await listenOn(server)
  onTestFinished(() => server.close().closeAllConnections())
  const origin = `https://localhost:${portOf(server)}`
  listener = answer(origin)
  const challenges = { publish: async () => {}, withdraw: async () => {} }
  return openAcmeAccount({
    config: { directoryUrl: new URL(`${origin}/directory`), outbound: { ca: CERTIFICATE } },
    accountKey: await generateKey(),
    challenges,
    clock,
    close,
  })
}

const json =
  (body: unknown): RequestListener =>
  (_, res) =>
    void res.writeHead(200, { 'content-type': 'application/json', 'replay-nonce': 'n' }).end(JSON.stringify(body))

test.each<readonly [what: string, answer: (origin: string) => RequestListener, message: RegExp]>([
  [
    'a directory without end',
    () => (_, res) => {
      const more = (): void => void (res.write('x'.repeat(65_536)) ? setImmediate(more) : res.once('drain', more))
      res.on('error', () => {})
      more()
    },
    /larger than 262144 bytes/,
  ],
  ['a redirect', (origin) => (_, res) => void res.writeHead(302, { location: `${origin}/other` }).end(), /redirect/],
  [
    'an address that is not https',
    () => json({ newNonce: 'http://169.254.169.254/', newAccount: 'http://x/' }),
    /not https/,
  ],
  ['an address of another kind', () => json({ newNonce: 'file:///etc/passwd', newAccount: 'file:///x' }), /not https/],
  ['broken JSON', () => (_, res) => void res.writeHead(200, { 'content-type': 'application/json' }).end('{'), /JSON/],
  ['nothing but errors', () => (_, res) => void res.writeHead(503, { 'retry-after': '86400' }).end(), /answered 503/],
  [
    'no nonce',
    (origin) => (req, res) =>
      req.url === '/directory'
        ? json({ newNonce: `${origin}/n`, newAccount: `${origin}/a` })(req, res)
        : void res.end(),
    /nonce/,
  ],
])('%s is a failed registration', async (_, answer, message) => {
  await expect(register(answer)).rejects.toMatchObject({
    code: 'ERR_ACME',
    message: expect.stringMatching(message) as string,
  })
})

test('a server that never answers is given up after the timeout of an order', async () => {
  let asked = false
  const outcome = expect(register(() => () => void (asked = true))).rejects.toThrow(/not done within 90 s/)
  await expect.poll(() => asked).toBe(true)
  clock.advance(ORDER_TIMEOUT)
  await outcome
})

test('the end of the process ends what is under way', async () => {
  const closing = new AbortController()
  let asked = false
  const outcome = expect(register(() => () => void (asked = true), closing.signal)).rejects.toThrow(/the process ends/)
  await expect.poll(() => asked).toBe(true)
  closing.abort(new Error('the process ends'))
  await outcome
})

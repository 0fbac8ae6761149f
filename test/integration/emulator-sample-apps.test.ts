import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type SampleApps, startSampleApps } from '../../demo/apps.ts'
import { pageText } from '../support/okta-sign-in.ts'

let keys: Server
let asked: string[]
let apps: SampleApps
let sign: (claims: Record<string, string>, audience: string) => Promise<string>

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] })
  asked = []
  keys = createServer((req, res) => {
    asked.push(`${req.headers.host?.split(':')[0]}${req.url}`)
    res.end(jwks)
  })
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve))
  sign = (claims, audience) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setAudience(audience)
      .setExpirationTime('5m')
      .sign(privateKey)
  const postern = `http://127.0.0.1:${(keys.address() as AddressInfo).port}`
  apps = await startSampleApps({ ports: { engineering: 0, everyone: 0 }, postern })
})
afterAll(async () => {
  await apps.close()
  await new Promise((resolve) => keys.close(resolve))
})

async function visit(assertion?: string): Promise<string> {
  const headers = assertion === undefined ? undefined : { 'x-postern-jwt-assertion': assertion }
  return pageText(await (await fetch(`${apps.urls.engineering}/path?x=1`, { ...(headers && { headers }) })).text())
}

describe('a sample application', () => {
  test('greets the person of Postern’s assertion and shows the request', async () => {
    const text = await visit(await sign({ name: 'Alice Archer', email: 'alice@example.com' }, 'engineering.localhost'))
    expect(text).toContain('Hello, Alice Archer')
    expect(text).toContain('Verified. Postern signed this identity')
    expect(text).toContain('GET /path?x=1')
    expect(asked).toContain('engineering.localhost/.well-known/postern/jwks.json')
  })

  test('does not believe an assertion for another application, a foreign signature, or none', async () => {
    expect(await visit(await sign({ name: 'Alice' }, 'everyone.localhost'))).toContain('not to be trusted')
    const genuine = await sign({ name: 'Alice' }, 'engineering.localhost')
    const forged = `${genuine.slice(0, -10)}AAAAAAAAAA`
    expect(await visit(forged)).toContain('not to be trusted: signature verification failed')
    expect(await visit()).toContain('Nobody is signed in')
  })

  test('counts uploaded bytes', async () => {
    const response = await fetch(`${apps.urls.everyone}/upload`, { method: 'POST', body: Buffer.alloc(300_000) })
    expect(await response.json()).toEqual({ bytes: 300_000 })
  })

  test('echoes on a WebSocket', async () => {
    const socket = new WebSocket(`${apps.urls.everyone.replace('http', 'ws')}/ws`)
    await new Promise((resolve) => socket.once('open', resolve))
    const echoed = new Promise((resolve) => socket.once('message', (data: Buffer) => resolve(data.toString())))
    socket.send('hello')
    expect(await echoed).toBe('hello')
    socket.terminate()
  })

  test('streams events', async () => {
    const stop = new AbortController()
    const response = await fetch(`${apps.urls.everyone}/sse`, { signal: stop.signal })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const first = await response.body?.getReader().read()
    expect(Buffer.from(first?.value ?? []).toString()).toBe('id: 0\ndata: second 0\n\n')
    stop.abort()
  })
})

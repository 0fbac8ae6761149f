import { deflateSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { boundedFetch } from '../../../src/identity/bounded-fetch.ts'
import type { Send } from '../../../src/lib/outbound.ts'

type Asked = Parameters<Send>[1]
const URL_ = 'https://idp.example/token'
const init = { method: 'POST', headers: { accept: 'application/json' }, redirect: 'manual' } as const

async function answering(
  answer: { status?: number; headers?: Record<string, string | string[]>; body?: Uint8Array },
  ask: object = init,
): Promise<{ response: Response; asked: Asked | undefined }> {
  let asked: Asked | undefined
  const send: Send = async (_, given) => {
    asked = given
    const { status = 200, headers = {}, body = Buffer.alloc(0) } = answer
    return {
      status,
      headers,
      body: (async function* () {
        yield body
      })(),
    }
  }
  const response = await boundedFetch(URL_, ask as typeof init, new AbortController().signal, send)
  return { response, asked }
}

test('a form goes out as text, nothing asks for compression, and several fields of one name come back', async () => {
  const body = new URLSearchParams({ grant_type: 'authorization_code', code: 'a b' })
  const headers = { 'content-type': 'application/json', 'www-authenticate': ['Basic realm="a"', 'Bearer'] }
  const { response, asked } = await answering({ status: 401, headers, body: Buffer.from('{}') }, { ...init, body })
  expect(asked).toMatchObject({
    method: 'POST',
    body: 'grant_type=authorization_code&code=a+b',
    headers: { accept: 'application/json', 'accept-encoding': 'identity' },
  })
  expect(response.status).toBe(401)
  expect(response.headers.get('www-authenticate')).toBe('Basic realm="a", Bearer')
  expect(await response.json()).toEqual({})
})

test('an answer that is compressed all the same is read, within the same bound', async () => {
  const headers = { 'content-encoding': 'gzip' }
  const { response } = await answering({ headers, body: gzipSync('{"a":1}') })
  expect(await response.json()).toEqual({ a: 1 })
  expect(response.headers.get('content-encoding')).toBeNull()
  const bomb = answering({ headers, body: gzipSync(Buffer.alloc(2_000_000)) })
  await expect(bomb).rejects.toMatchObject({ code: 'ERR_IDP_REJECTED', message: expect.stringContaining('1 MiB') })
})

test.each([
  ['another coding', { 'content-encoding': 'deflate' }, deflateSync('{}')],
  ['two codings', { 'content-encoding': 'gzip, gzip' }, gzipSync(gzipSync('{}'))],
  ['no gzip at all', { 'content-encoding': 'gzip' }, Buffer.from('{}')],
])('%s is refused', async (_, headers, body) => {
  await expect(answering({ headers, body })).rejects.toMatchObject({ code: 'ERR_IDP_REJECTED' })
})

test.each([429, 500, 503])('%i may be different in a moment, whatever its body', async (status) => {
  const body = Buffer.from('{"error":"invalid_grant"}')
  await expect(answering({ status, body })).rejects.toMatchObject({ code: 'ERR_IDP_UNREACHABLE' })
})

test.each([204, 205, 304])('%i has no body', async (status) => {
  const { response } = await answering({ status })
  expect([response.status, await response.text()]).toEqual([status, ''])
})

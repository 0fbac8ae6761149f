/** The conformance suite of HTTP/2 and HPACK, strict cases included: https://github.com/summerwind/h2spec */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { RequestBody } from '../../src/http/exchange.ts'
import { listening } from '../support/listening.ts'
import { sendReply } from '../support/send-reply.ts'
import { Secret } from '../../src/lib/secret.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const h2spec = join(process.env['POSTERN_TOOLS'] ?? join(homedir(), '.cache/postern-tools'), 'bin/h2spec')
const missing = existsSync(h2spec) ? '' : ' (skipped; install with: scripts/ci-tools.sh)'

test.skipIf(missing !== '').each([
  ['without TLS', false],
  ['over TLS', true],
])(`h2spec --strict passes whole, %s${missing}`, async (_, tls) => {
  const listener = await listening(
    async (exchange) => {
      // An answer that does not wait for the body resets the rest of it, whatever it would have been.
      if (exchange.body && !(await isWhole(exchange.body))) return
      await sendReply(exchange, { status: 200, headers: [], body: 'hello world\n'.repeat(20) })
    },
    tls
      ? { tls: { certificate: { chain: CERTIFICATE, key: new Secret(KEY) }, certificates: [] } }
      : { codecType: 'http2' },
  )
  const options = ['--host', '127.0.0.1', '--port', String(listener.port), '--strict', '--timeout', '5']
  const { stdout } = await promisify(execFile)(h2spec, [...options, ...(tls ? ['--tls', '--insecure'] : [])], {
    timeout: 110_000,
  }).catch((error: { readonly stdout: string }) => error)
  await listener.close()
  expect(stdout.replace(/^[^]*(?=Failures)/, '')).toMatch(/\n146 tests, 146 passed, 0 skipped, 0 failed/)
})

async function isWhole(body: RequestBody): Promise<boolean> {
  try {
    for await (const _ of body);
    return true
  } catch {
    return false
  }
}

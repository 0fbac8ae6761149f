/**
 * Two other readers judge ours: whatever it lets through, llhttp in strict mode and h11 let through as well, and they read
 * the same requests with the same ends. FUZZ_CASES and FUZZ_SEED ask for others.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { installed } from '../apps/installed.ts'
import { createNodeOracle, forNode } from './node-oracle.ts'
import { createRandom } from './random.ts'
import { type ReadRequest, weRead } from './reading.ts'
import { requestBytes } from './request-bytes.ts'

const CASES = Number(process.env['FUZZ_CASES'] ?? 200_000)
const SEED = Number(process.env['FUZZ_SEED'] ?? 9112)
const BATCH = 500
const h11 = installed('python-h11', { from: 'pypi', packages: ['h11==0.16.0'] })

interface Case {
  readonly bytes: Buffer
  readonly ours: readonly ReadRequest[]
}

/** In batches, those of which we let something through. */
function* accepted(count: number, seed: number): Generator<readonly Case[]> {
  const random = createRandom(seed)
  for (let done = 0; done < count; done += BATCH) {
    const batch: Case[] = []
    for (let i = 0; i < BATCH; i++) {
      const bytes = Buffer.from(requestBytes(random), 'latin1')
      const ours = weRead(bytes)
      if (ours.length > 0) batch.push({ bytes, ours })
    }
    yield batch
  }
}

const shown = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1'))

test(`of ${CASES} byte sequences (seed ${SEED}) llhttp in strict mode reads what we read`, async () => {
  const oracle = createNodeOracle()
  let requests = 0
  for (const batch of accepted(CASES, SEED)) {
    const asked = batch.map(({ bytes, ours }) => forNode(bytes, ours))
    const theirs = await Promise.all(asked.map(({ bytes }) => oracle.read(bytes)))
    for (const [i, { bytes, expected }] of asked.entries()) {
      requests += expected.length
      const read = theirs[i]
      if (!isSame(read, expected))
        expect({ bytes: shown(bytes), read }).toEqual({ bytes: shown(bytes), read: expected })
    }
  }
  // Otherwise nothing was tried.
  expect(requests).toBeGreaterThan(CASES / 10)
})

test.skipIf(h11.bin === undefined)(
  h11.name(`of ${CASES} byte sequences (seed ${SEED + 1}) h11 reads the first request as we do`),
  async () => {
    const cases: Case[] = []
    for (const batch of accepted(CASES, SEED + 1)) cases.push(...batch)
    const script = fileURLToPath(new URL('h11-oracle.py', import.meta.url))
    const answers = await new Promise<string>((resolve, reject) => {
      const options = { timeout: 600_000, maxBuffer: 1 << 30 }
      const child = execFile(`${h11.bin}/python3`, [script], options, (error, out) =>
        error ? reject(error) : resolve(out),
      )
      // h11 takes no empty line before a request, as RFC 9112 §2.2 allows.
      child.stdin?.end(cases.map(({ bytes, ours }) => `${bytes.toString('hex', ours[0]?.start)}\n`).join(''))
    })
    for (const [i, line] of answers.trimEnd().split('\n').entries()) {
      const { bytes, ours } = cases[i] ?? { bytes: Buffer.alloc(0), ours: [] }
      const [first] = ours
      const expected = first && {
        ...first,
        path: undefined,
        start: undefined,
        end: first.end - first.start,
        last: undefined,
      }
      const found = JSON.parse(line) as ReadRequest | null
      // A tunnel's bytes are no body to us.
      const same = expected?.body === undefined ? isSame(found?.headers, expected?.headers) : isSame(found, expected)
      if (!same) expect({ bytes: shown(bytes), read: found }).toEqual({ bytes: shown(bytes), read: expected })
    }
    expect(cases.length).toBeGreaterThan(CASES / 20)
  },
)

/** As `toEqual` of plain data whose members come in one order, in a fraction of its time. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

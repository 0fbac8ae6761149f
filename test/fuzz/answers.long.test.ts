/**
 * Two other readers judge ours: whatever answer it takes, llhttp in strict mode and h11 take as well, with the same head,
 * body and end, in whatever pieces it comes. FUZZ_CASES and FUZZ_SEED ask for others.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { installed } from '../apps/installed.ts'
import { answerBytes } from './answer-bytes.ts'
import { weRead, type Whole } from './answer-reading.ts'
import { nodeReads } from './node-answer-oracle.ts'
import { createRandom, type Random } from './random.ts'

const CASES = Number(process.env['FUZZ_CASES'] ?? 200_000)
const SEED = Number(process.env['FUZZ_SEED'] ?? 9112)
const BATCH = 500
/** One of so many goes to h11, which is slower. */
const H11_SHARE = 4
const h11 = installed('python-h11', { from: 'pypi', packages: ['h11==0.16.0'] })

interface Case {
  readonly method: string
  readonly bytes: Buffer
  readonly ended: boolean
  readonly ours: Whole
}

/** In batches, those in which we find an answer. */
function* accepted(count: number, seed: number): Generator<readonly Case[]> {
  const random = createRandom(seed)
  for (let done = 0; done < count; done += BATCH) {
    const batch: Case[] = []
    for (let i = 0; i < BATCH; i++) {
      const bytes = Buffer.from(answerBytes(random), 'latin1')
      const method = random.once(10) ? 'HEAD' : 'GET'
      const ended = random.once(2)
      const ours = weRead(method, bytes, [], ended)
      const piecewise = weRead(method, bytes, cutsOf(bytes, random), ended)
      if (!isSame(ours?.answer, piecewise?.answer)) {
        expect({ bytes: shown(bytes), read: piecewise?.answer }).toEqual({ bytes: shown(bytes), read: ours?.answer })
      }
      // Byte by byte, the end is where the last byte was.
      const every = ours && weRead(method, bytes, Array.from(bytes.keys()), ended)
      if (every) batch.push({ method, bytes, ended, ours: { ...every, kept: ours.kept } })
    }
    yield batch
  }
}

function cutsOf(bytes: Buffer, random: Random): readonly number[] {
  const cuts = Array.from({ length: random.below(6) }, () => random.below(bytes.length + 1))
  return cuts.toSorted((a, b) => a - b)
}

const shown = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1'))

/** As `toEqual` of plain data whose members come in one order, in a fraction of its time. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

test(`of ${CASES} byte sequences (seed ${SEED}) llhttp in strict mode reads what we read, and up to the same byte`, async () => {
  let answers = 0
  for (const batch of accepted(CASES, SEED)) {
    answers += batch.length
    await Promise.all(
      batch.map(async ({ method, bytes, ended, ours }) => {
        const exact = bytes.subarray(0, ours.end)
        const untilClose = ours.end === bytes.length && ended
        const [whole, less] = await Promise.all([
          nodeReads(method, exact, untilClose),
          untilClose ? undefined : nodeReads(method, exact.subarray(0, -1), false),
        ])
        const found = { bytes: shown(bytes), end: ours.end, whole, less }
        const expected = { bytes: shown(bytes), end: ours.end, whole: ours.answer, less: undefined }
        if (!isSame(found, expected)) expect(found).toEqual(expected)
        // What follows an answer is nobody's: its connection does not serve again.
        if (ours.end < bytes.length && ours.kept) expect(found).toBe('an answer with nothing behind it')
      }),
    )
  }
  // Otherwise nothing was tried.
  expect(answers).toBeGreaterThan(CASES / 10)
})

test.skipIf(h11.bin === undefined)(
  h11.name(`of ${CASES / H11_SHARE} byte sequences (seed ${SEED + 1}) h11 reads what we read, and up to the same byte`),
  async () => {
    const cases: Case[] = []
    for (const batch of accepted(CASES / H11_SHARE, SEED + 1)) {
      cases.push(...batch)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const script = fileURLToPath(new URL('h11-answers.py', import.meta.url))
    const answers = await new Promise<string>((resolve, reject) => {
      const options = { timeout: 600_000, maxBuffer: 1 << 30 }
      const child = execFile(`${h11.bin}/python3`, [script], options, (error, out) =>
        error ? reject(error) : resolve(out),
      )
      child.stdin?.end(
        cases.map(({ method, ended, bytes }) => `${method} ${ended ? 1 : 0} ${bytes.toString('hex')}\n`).join(''),
      )
    })
    for (const [i, line] of answers.trimEnd().split('\n').entries()) {
      const one = cases[i]
      if (!one) continue
      const found: unknown = JSON.parse(line)
      const { answer, end } = one.ours
      // h11 gives the coding in lower case.
      const headers = answer.headers.map((part, at) =>
        answer.headers[at - 1] === 'transfer-encoding' ? part.toLowerCase() : part,
      )
      const expected = { ...answer, headers, end }
      if (!isSame(found, expected))
        expect({ bytes: shown(one.bytes), found }).toEqual({ bytes: shown(one.bytes), found: expected })
    }
    expect(cases.length).toBeGreaterThan(CASES / H11_SHARE / 10)
  },
)

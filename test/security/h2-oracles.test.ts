/** python-hyper (hpack, hyperframe, h2) as a second opinion: what it takes, and only that, is taken, and means the same. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { FLAG, FRAME, FrameReader } from '../../src/wire/h2-frames.ts'
import { HpackDecoder } from '../../src/wire/hpack.ts'
import { listening } from '../support/listening.ts'
import { installed } from '../apps/installed.ts'

const SEED = 7541
const hyper = installed('python-hyper', {
  from: 'pypi',
  packages: ['h2==4.4.1', 'hpack==4.2.0', 'hyperframe==6.1.0'],
})

async function oracle(...options: readonly (string | number)[]): Promise<string> {
  const script = fileURLToPath(new URL('../support/h2-oracle.py', import.meta.url))
  const { stdout } = await promisify(execFile)(`${hyper.bin}/python3`, [script, ...options.map(String)], {
    timeout: 100_000,
    maxBuffer: 1 << 28,
  })
  return stdout
}

interface Block {
  readonly block: string
  /** null: it is refused. */
  readonly fields: readonly (readonly [string, string])[] | null
}

test.skipIf(hyper.bin === undefined)(hyper.name('blocks of fields, whole and damaged'), async () => {
  let refused = 0
  for (const line of (await oracle('hpack', SEED)).trim().split('\n')) {
    const decoder = new HpackDecoder()
    for (const { block, fields } of JSON.parse(line) as readonly Block[]) {
      const got: [string, string][] = []
      const whole = decoder.decode(Buffer.from(block, 'hex'), { field: (name, value) => void got.push([name, value]) })
      expect({ block, fields: whole ? got : null }).toEqual({ block, fields })
      if (!whole) refused++
    }
  }
  expect(refused).toBeGreaterThan(10)
})

test.skipIf(hyper.bin === undefined)(hyper.name('frames, in pieces of any size'), async () => {
  const said = JSON.parse(await oracle('frames', SEED)) as {
    readonly octets: string
    readonly frames: readonly (readonly [type: number, stream: number, length: number, body: string])[]
  }
  const octets = Buffer.from(said.octets, 'hex')
  const got: [number, number, number, string][] = []
  let open = ''
  const reader = new FrameReader((type, flags, stream, payload) => {
    // DATA may come in parts; the flags of the last one alone are those of the frame.
    open += payload.toString('hex')
    const frame = said.frames[got.length]
    if (type !== FRAME.data || open.length / 2 === frame?.[2]) {
      got.push([type, stream, open.length / 2, open])
      open = ''
    } else expect(flags & FLAG.endStream).toBe(0)
    return true
  })
  let state = SEED
  for (let at = 0; at < octets.length; ) {
    state = (state * 1103515245 + 12345) & 0x7fffffff
    const length = [1, 3, 9, 100, 5000, 65_536][state % 6] ?? 1
    expect(reader.read(octets.subarray(at, at + length))).toBe('more')
    at += length
  }
  expect(got).toEqual(said.frames)
})

test.skipIf(hyper.bin === undefined).each([1, 2, 3, 4])(
  hyper.name('a client that allows nothing which it need not allow, seed %i'),
  async (seed) => {
    const listener = await listening(
      async (exchange) => {
        const out = exchange.respond({ status: 200, headers: '' })
        for await (const piece of exchange.body ?? []) {
          if (!out.write(piece)) await new Promise<void>((resolve) => out.once('drain', resolve))
        }
        out.end()
      },
      { codecType: 'http2' },
    )
    try {
      expect(await oracle('client', seed, listener.port)).toBe('every body came back\n')
    } finally {
      await listener.close()
    }
  },
)

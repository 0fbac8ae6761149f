import { describe, expect, test } from 'vitest'
import type { OtlpReceiver } from '../../../../src/config/model.ts'
import type { Send } from '../../../../src/lib/outbound.ts'
import { Secret } from '../../../../src/lib/secret.ts'
import { type Span, TRACES } from '../../../../src/server/telemetry/otlp.ts'
import { createOtlpSender } from '../../../../src/server/telemetry/sender.ts'
import { createSpanQueue } from '../../../../src/server/telemetry/span-queue.ts'
import type { LogFields } from '../../../../src/lib/log-fields.ts'
import { manualClock } from '../../../support/clock.ts'

const RECEIVER: OtlpReceiver = {
  url: 'http://collector.test:4318/v1/traces',
  encoding: 'json',
  headers: [['api-key', new Secret('k')]],
  timeout: 10_000,
  outbound: {},
}
const FROM = { resource: { attributes: [] }, scope: { name: 'postern', version: '1' } }

function span(name: string): Span {
  const digits = '1700000000000000000'
  const ids = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) }
  return { ...ids, flags: 1, name, kind: 2, startTimeUnixNano: digits, endTimeUnixNano: digits, attributes: [] }
}

/** Answers in turn, the last one for ever; `hang`: none. */
function setUp(
  answers: readonly (number | 'hang' | 'cut')[],
  headers: Readonly<Record<string, string>> = {},
  receiver = RECEIVER,
) {
  const clock = manualClock()
  const sentAt: number[] = []
  const names: string[][] = []
  const lines: (LogFields & { readonly level: string })[] = []
  const post: Send = async (_, { body, signal }) => {
    const answer = answers[Math.min(sentAt.length, answers.length - 1)]
    sentAt.push(clock.monotonic())
    const message = JSON.parse(String(body)) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }
    names.push(message.resourceSpans[0]?.scopeSpans[0]?.spans.map(({ name }) => name) ?? [])
    if (answer === 'cut') throw new Error('ECONNRESET')
    if (answer === 'hang')
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    return { status: answer ?? 200, headers, body: (async function* () {})() }
  }
  const note = (level: string) => (fields: LogFields) => void lines.push({ level, ...fields })
  const logger = {
    trace() {},
    debug() {},
    info: note('info'),
    warn: note('warn'),
    error: note('error'),
    writes: () => false,
    line() {},
    audit() {},
  }
  const sender = createOtlpSender({
    what: 'traces',
    receiver,
    shape: TRACES,
    clock,
    logger,
    random: () => 1,
    post,
  })
  const queue = createSpanQueue({ config: { delay: 5000, queue: 8, batch: 4 }, from: FROM, sender, clock })
  return { clock, queue, sentAt, names, lines }
}

describe('spans', () => {
  test('wait for the delay, or for enough of them', async () => {
    const { clock, queue, names } = setUp([200])
    queue.add([span('a')])
    await clock.advanceAsync(4999)
    expect(names).toEqual([])
    await clock.advanceAsync(2)
    expect(names).toEqual([['a']])
    queue.add([span('b'), span('c'), span('d'), span('e'), span('f')])
    await clock.advanceAsync(0)
    expect(names.slice(1)).toEqual([['b', 'c', 'd', 'e']])
    await clock.advanceAsync(5000)
    expect(names.slice(2)).toEqual([['f']])
    expect(queue).toMatchObject({ sent: 6, dropped: 0 })
  })

  test('beyond the queue are dropped and counted, while a receiver says nothing', async () => {
    const { clock, queue } = setUp(['hang'])
    for (let i = 0; i < 4; i++) queue.add([span('first')])
    await clock.advanceAsync(0)
    for (let i = 0; i < 1000; i++) queue.add([span('more')])
    expect(queue.dropped).toBe(992)
  })

  test('are sent again after 1, 2, 4 and 8 seconds, then given up; one line says so', async () => {
    const { clock, queue, sentAt, lines } = setUp([503, 'cut', 429, 502, 504, 200])
    const ABOUT = { telemetry: 'traces', receiver: 'http://collector.test:4318' }
    const began = clock.monotonic()
    for (let i = 0; i < 4; i++) queue.add([span('a')])
    await clock.advanceAsync(60_000)
    expect(sentAt.map((at) => at - began)).toEqual([0, 1000, 3000, 7000, 15_000])
    expect(queue).toMatchObject({ sent: 0, dropped: 4 })
    expect(lines).toEqual([{ level: 'warn', ...ABOUT, error: 'ERR_TELEMETRY', error_message: 'answered 503' }])
    queue.add([span('b')])
    await clock.advanceAsync(5000)
    expect(queue.sent).toBe(1)
    expect(lines.at(-1)).toEqual({ level: 'info', ...ABOUT })
  })

  test('wait as long as the receiver says, within reason', async () => {
    const { clock, queue, sentAt } = setUp([429, 200], { 'retry-after': '20' })
    const began = clock.monotonic()
    for (let i = 0; i < 4; i++) queue.add([span('a')])
    await clock.advanceAsync(60_000)
    expect(sentAt.map((at) => at - began)).toEqual([0, 20_000])
  })

  test('that are refused are not sent again', async () => {
    const { clock, queue, sentAt } = setUp([400])
    for (let i = 0; i < 4; i++) queue.add([span('a')])
    await clock.advanceAsync(60_000)
    expect(sentAt).toHaveLength(1)
    expect(queue.dropped).toBe(4)
  })

  test('that cannot be written are dropped: a mistake of ours ends no process', async () => {
    const { clock, queue, sentAt, lines } = setUp([200], {}, { ...RECEIVER, encoding: 'protobuf' })
    for (let i = 0; i < 4; i++) queue.add([Object.assign(span('a'), { unknown: 1 })])
    await clock.advanceAsync(5000)
    expect(sentAt).toEqual([])
    expect(queue.dropped).toBe(4)
    expect(lines).toMatchObject([{ level: 'warn', error_message: 'protobuf: no field unknown' }])
  })

  test('that wait are sent at the end, and a receiver that says nothing holds nobody up', async () => {
    const good = setUp([200])
    good.queue.add([span('a')])
    await good.queue.close()
    expect(good.names).toEqual([['a']])

    const mute = setUp(['hang'])
    for (let i = 0; i < 4; i++) mute.queue.add([span('a')])
    mute.queue.add([span('b')])
    const closed = mute.queue.close()
    await mute.clock.advanceAsync(3000)
    await closed
    mute.queue.add([span('c')])
    expect(mute.queue.dropped).toBeGreaterThanOrEqual(2)
  })
})

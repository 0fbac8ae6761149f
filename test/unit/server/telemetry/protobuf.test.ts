import { array, assert, maxSafeNat, property, record, string, uint8Array } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Span, TRACES, tracesMessage } from '../../../../src/server/telemetry/otlp.ts'
import { encodeProtobuf, type Shape } from '../../../../src/server/telemetry/protobuf.ts'
import { protobufFields } from '../../../support/otlp-receiver.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('protobuf', () => {
  // The examples of https://protobuf.dev/programming-guides/encoding/.
  test.each<readonly [string, object, Shape, string]>([
    ['a number', { a: 150 }, { a: [1, 'int64'] }, '089601'],
    ['a text', { b: 'testing' }, { b: [2, 'string'] }, '120774657374696e67'],
    ['a message in a message', { c: { a: 150 } }, { c: [3, { a: [1, 'int64'] }] }, '1a03089601'],
    [
      'numbers of eight octets, packed',
      { f: ['1', '2'] },
      { f: [6, 'fixed64', 'repeated'] },
      '321001000000000000000200000000000000',
    ],
    ['a field beyond 15', { g: 0x301 }, { g: [16, 'fixed32'] }, '850101030000'],
  ])('%s', (_, message, shape, bytes) => {
    expect(hex(encodeProtobuf(message, shape))).toBe(bytes)
  })

  test('a field that the table does not have is a mistake', () => {
    expect(() => encodeProtobuf({ unknown: 1 }, { a: [1, 'int64'] })).toThrow('no field unknown')
  })

  test('texts of any length and number are there again, whatever has to grow', () => {
    const shape: Shape = { all: [1, { text: [1, 'string'], id: [2, 'hex'], number: [3, 'int64'] }, 'repeated'] }
    const one = record({
      text: string({ unit: 'grapheme', maxLength: 3000 }),
      id: uint8Array({ minLength: 8, maxLength: 16 }).map(hex),
      number: maxSafeNat(),
    })
    assert(
      property(array(one, { maxLength: 60 }), (all) => {
        const read = protobufFields(Buffer.from(encodeProtobuf({ all }, shape))).map(({ value }) => {
          const [text, id, number] = protobufFields(value as Buffer).map((each) => each.value)
          return { text: String(text), id: hex(id as Buffer), number: Number(number) }
        })
        expect(read).toEqual(all)
      }),
      { numRuns: 60 },
    )
  })

  test('a full request with spans is written whole', () => {
    const span: Span = {
      traceId: 'a1'.repeat(16),
      spanId: 'b2'.repeat(8),
      flags: 1,
      name: 'GET wiki',
      kind: 2,
      startTimeUnixNano: '1700000000000000000',
      endTimeUnixNano: '1700000000000000001',
      attributes: Array.from({ length: 15 }, (_, i) => ({ key: `key-${i}`, value: { stringValue: 'v'.repeat(100) } })),
    }
    const from = { resource: { attributes: [] }, scope: { name: 'postern', version: '1' } }
    const within = (bytes: Buffer, field: number): Buffer[] =>
      protobufFields(bytes).flatMap((each) => (each.field === field && Buffer.isBuffer(each.value) ? [each.value] : []))
    const bytes = Buffer.from(
      encodeProtobuf(
        tracesMessage(
          from,
          Array.from({ length: 512 }, () => span),
        ),
        TRACES,
      ),
    )
    const spans = within(bytes, 1)
      .flatMap((each) => within(each, 2))
      .flatMap((each) => within(each, 2))
    expect(spans).toHaveLength(512)
    for (const each of spans) expect(each.equals(spans[0] ?? Buffer.alloc(0))).toBe(true)
    expect(within(spans[0] ?? Buffer.alloc(0), 9)).toHaveLength(15)
  })
})

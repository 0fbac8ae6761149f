import { expect, test } from 'vitest'
import { createDescriptorOutput } from '../../../src/lib/log-output.ts'

/** Takes what `takes` says of each piece: a number of bytes, or an error code; the rest of the calls take all. */
function reader(takes: (number | string)[]) {
  let received = ''
  let calls = 0
  const write = (_fd: number, bytes: Buffer, offset: number): number => {
    calls++
    const taken = takes.shift() ?? bytes.length - offset
    if (typeof taken === 'string') throw Object.assign(new Error(taken), { code: taken })
    received += bytes.toString('utf8', offset, offset + taken)
    return taken
  }
  return {
    output: createDescriptorOutput(1, (lines) => `{"lines":${lines},"msg":"are lost"}\n`, write),
    received: () => received,
    calls: () => calls,
  }
}
const lostLines = (text: string) =>
  text.split('\n').flatMap((line) => (line.includes('are lost') ? [(JSON.parse(line) as { lines: number }).lines] : []))

test('a reader that takes a piece at a time gets all of it', () => {
  const { output, received } = reader([2, 'EAGAIN', 1, 'EINTR'])
  output.write('one\ntwo\n')
  expect(received()).toBe('one\ntwo\n')
  expect(output.dropped()).toBe(0)
})

test.each(['ENOSPC', 'EPIPE', 'EIO', 'EBADF'])(
  'lines are counted and dropped on %s, and told when there is room',
  (code) => {
    const { output, received } = reader([code, code, code])
    output.write('one\ntwo\n')
    output.write('three\n')
    expect(output.dropped()).toBe(3)
    expect(received()).toBe('')
    output.write('four\n')
    output.write('five\n')
    expect(output.dropped()).toBe(4)
    expect(received().split('\n').slice(1)).toEqual(['five', ''])
    expect(lostLines(received())).toEqual([4])
  },
)

test('half a line that got through does not spoil the next one', () => {
  const { output, received } = reader([6, 'ENOSPC'])
  output.write('{"a":1}\n{"a":2}\n')
  output.write('{"a":3}\n')
  const lines = received().split('\n')
  expect(lines[0]).toBe('{"a":1')
  expect(lostLines(received())).toEqual([2])
  expect(lines.slice(2)).toEqual(['{"a":3}', ''])
})

test('a reader that takes nothing is waited for once, not with every line', () => {
  const { output, received, calls } = reader(Array.from({ length: 60 }, () => 'EAGAIN'))
  output.write('one\n')
  const first = calls()
  expect(first).toBeGreaterThan(10)
  output.write('two\n')
  expect(calls()).toBe(first + 1)
  expect(output.dropped()).toBe(2)
  for (let i = 0; i < 60; i++) output.write('x\n')
  expect(received()).toMatch(/^\{.*are lost"\}\nx\n(?:x\n)+$/)
})

import { array, assert, constantFrom, integer, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { type Balanced, createBalancer, hash } from '../../../src/upstream/balance.ts'

interface Named extends Balanced {
  readonly name: string
}

function members(...weights: readonly number[]): [Named, ...Named[]] {
  const of = (weight: number, index: number): Named => {
    const name = 'abcdefghij'[index] ?? ''
    return { name, index, weight, load: 0, seed: hash(`http://${name}.test:8080`) }
  }
  const [first = 1, ...others] = weights
  return [of(first, 0), ...others.map((weight, i) => of(weight, i + 1))]
}

const anybody = (): string => 'somebody'

test('round robin: turns follow the weights and are spread', () => {
  const balance = createBalancer('round-robin', 3, Math.random)
  const all = members(5, 1, 1)
  expect(Array.from({ length: 7 }, () => balance(all, anybody).name).join('')).toBe('aabacaa')
})

test('round robin: whoever is left takes turns, and one that comes back gets its share and no more', () => {
  const balance = createBalancer('round-robin', 3, Math.random)
  const all = members(1, 1, 1)
  const [a, b] = all as [Named, Named, Named]
  expect(Array.from({ length: 6 }, () => balance([a, b], anybody).name).join('')).toBe('ababab')
  expect(
    Array.from({ length: 6 }, () => balance(all, anybody).name)
      .toSorted()
      .join(''),
  ).toBe('aabbcc')
})

test('least request: the fewest requests for the weight', () => {
  const balance = createBalancer('least-request', 3, Math.random)
  const [a, b, c] = members(1, 1, 4) as [Named, Named, Named]
  expect(
    balance(
      [
        { ...a, load: 2 },
        { ...b, load: 1 },
        { ...c, load: 9 },
      ],
      anybody,
    ).name,
  ).toBe('b')
  expect(
    balance(
      [
        { ...a, load: 2 },
        { ...b, load: 2 },
        { ...c, load: 9 },
      ],
      anybody,
    ).name,
  ).toBe('c')
  const equal = members(1, 1, 1)
  expect(
    Array.from({ length: 3 }, () => balance(equal, anybody).name)
      .toSorted()
      .join(''),
  ).toBe('abc')
})

test('random: by weight', () => {
  let at = 0
  const balance = createBalancer('random', 2, () => (at++ % 100) / 100)
  const all = members(3, 1)
  const chosen = Array.from({ length: 100 }, () => balance(all, anybody).name)
  expect(chosen.filter((name) => name === 'a')).toHaveLength(75)
})

test('hash: people are spread by weight, each stays, and only those of an upstream that goes move', () => {
  const balance = createBalancer('hash', 4, Math.random)
  const all = members(1, 1, 1, 2)
  const people = Array.from({ length: 5000 }, (_, i) => `person-${i}`)
  const before = people.map((person) => balance(all, () => person).name)
  expect(people.map((person) => balance(all, () => person).name)).toEqual(before)
  const share = (name: string): number => before.filter((each) => each === name).length / people.length
  for (const name of ['a', 'b', 'c']) expect(Math.abs(share(name) - 0.2)).toBeLessThan(0.03)
  expect(Math.abs(share('d') - 0.4)).toBeLessThan(0.03)
  const [a, , c, d] = all as [Named, Named, Named, Named]
  const after = people.map((person) => balance([a, c, d], () => person).name)
  expect(after.filter((name, i) => name !== before[i] && before[i] !== 'b')).toEqual([])
})

test('hash: the same in another process, whatever the order in the file', () => {
  const [a, b, c] = members(1, 1, 1) as [Named, Named, Named]
  const chosen = ['x', 'y', 'z', '192.0.2.1', '2001:db8::1'].map((key) => [
    createBalancer('hash', 3, Math.random)([a, b, c], () => key).name,
    createBalancer('hash', 3, Math.random)([c, a, b], () => key).name,
  ])
  for (const [first, second] of chosen) expect(first).toBe(second)
  expect(chosen.map(([name]) => name).join('')).toMatchInlineSnapshot(`"cbbac"`)
})

test('every policy chooses one of those that it is given', () => {
  assert(
    property(
      constantFrom('round-robin', 'least-request', 'random', 'hash' as const),
      array(integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 8 }),
      array(integer({ min: 0, max: 7 }), { maxLength: 4 }),
      string(),
      (policy, weights, gone, key) => {
        const all = members(...weights)
        const [first, ...others] = all.filter(({ index }) => !gone.includes(index))
        if (!first) return
        const balance = createBalancer(policy, all.length, Math.random)
        for (let i = 0; i < 5; i++) expect([first, ...others]).toContain(balance([first, ...others], () => key))
      },
    ),
  )
})

import { describe, expect, test } from 'vitest'
import { combineSources } from '../../../src/directory/combine.ts'
import { createStaticSource } from '../../../src/directory/static.ts'
import { AppError } from '../../../src/errors.ts'
import type { DirectorySource, Entry, ReadPriority } from '../../../src/directory/model.ts'
import { manualClock } from '../../support/clock.ts'

const clock = manualClock()
const signal = new AbortController().signal

function source(name: string, entry: Partial<Entry> | undefined): DirectorySource {
  return {
    name,
    lookup: async (subject) =>
      entry && { subject, status: 'active', statusText: 'ACTIVE', groups: [], asOf: 1000, ...entry },
  }
}
const inGroup = (name: string): Partial<Entry> => ({ groups: [{ id: name, name, type: 'CLAIM' }] })
const failing: DirectorySource = {
  name: 'okta',
  lookup: () => Promise.reject(new AppError('ERR_DIRECTORY_UNREACHABLE', 'okta: no answer')),
}
const look = (...sources: [DirectorySource, ...DirectorySource[]]) => combineSources(sources).lookup('ann', signal)

describe('several sources as one', () => {
  test('the first that knows the person gives status and groups, and is named', async () => {
    const entry = await look(source('okta', undefined), source('scim', inGroup('A')), source('static', inGroup('B')))
    expect(entry).toEqual({
      subject: 'ann',
      status: 'active',
      statusText: 'ACTIVE',
      groups: [{ id: 'A', name: 'A', type: 'CLAIM' }],
      asOf: 1000,
      upTo: 1000,
      source: 'scim',
    })
  })

  test('a first source without groups is an answer, not a gap for the next one', async () => {
    expect(await look(source('scim', {}), source('static', inGroup('admins')))).toMatchObject({
      source: 'scim',
      groups: [],
    })
  })

  test.each([[0], [1], [2]])('inactive from source %i wins, with its word and without groups of others', async (at) => {
    const sources = ['a', 'b', 'c'].map((name, n) =>
      source(name, n === at ? { status: 'inactive', statusText: 'SUSPENDED' } : inGroup('A')),
    )
    const entry = await look(...(sources as [DirectorySource, ...DirectorySource[]]))
    expect(entry).toMatchObject({ status: 'inactive', statusText: 'SUSPENDED', groups: [], source: 'abc'[at] })
  })

  test('news of one source is read from it alone, beside what the others said last', async () => {
    const asked: string[] = []
    const counted = (name: string, entry: Partial<Entry>): DirectorySource => {
      const of = source(name, entry)
      return { name, lookup: (...args) => (asked.push(name), of.lookup(...args)) }
    }
    const combined = combineSources([counted('okta', inGroup('A')), counted('scim', inGroup('B'))])
    const before = await combined.lookup('ann', signal, 'confirm', 'scim')
    expect(asked.splice(0)).toEqual(['okta', 'scim'])
    expect(await combined.lookup('ann', signal, 'confirm', 'scim')).toEqual(before)
    expect(asked.splice(0)).toEqual(['scim'])
    expect(await combined.lookup('ann', signal, 'confirm')).toEqual(before)
    expect(asked.splice(0)).toEqual(['okta', 'scim'])
  })

  test('somebody whom no source knows is unknown', async () => {
    expect(await look(source('okta', undefined), source('scim', undefined))).toBeUndefined()
  })

  test.each([
    ['before', [failing, source('static', inGroup('A'))]],
    ['after', [source('static', inGroup('A')), failing]],
    ['after one that knows the person as inactive', [source('static', { status: 'inactive' }), failing]],
  ] as const)('a source that fails %s others makes the reading fail', async (_, [first, second]) => {
    await expect(look(first, second)).rejects.toMatchObject({
      code: 'ERR_DIRECTORY_UNREACHABLE',
      message: 'okta: no answer',
    })
  })

  test('asOf is that of the oldest source, upTo that of the newest', async () => {
    const [scim, okta] = [source('scim', { asOf: 3000 }), source('okta', { asOf: 2000, upTo: 4000 })]
    expect(await look(scim, okta)).toMatchObject({ source: 'scim', asOf: 2000, upTo: 4000 })
    expect(await look(scim)).toMatchObject({ asOf: 3000, upTo: 3000 })
  })

  test('each source is asked with the same signal and the same priority', async () => {
    const asked: [AbortSignal, ReadPriority | undefined][] = []
    const spy: DirectorySource = {
      name: 'spy',
      async lookup(_, given, priority) {
        asked.push([given, priority])
        return undefined
      },
    }
    await combineSources([spy, spy]).lookup('ann', signal, 'background')
    expect(asked).toEqual([
      [signal, 'background'],
      [signal, 'background'],
    ])
  })

  test('its name joins the names of its sources; nested combinations name the source that answered', async () => {
    const inner = combineSources([source('okta', undefined), source('scim', {})])
    const outer = combineSources([inner, source('static', {})])
    expect(outer.name).toBe('okta+scim+static')
    expect(await outer.lookup('ann', signal)).toMatchObject({ source: 'scim' })
  })
})

describe('the static source', () => {
  const people = [
    { id: '00u-ann', groups: ['Engineering', '00g1emaKYZTWRYYRRTSK', 'Engineering'] },
    { id: '00u-bob', status: 'inactive', groups: ['Engineering'] },
  ] as const

  test('groups are what the file calls them, each once, and match rules by name and by id', async () => {
    expect(await createStaticSource({ people, clock }).lookup('00u-ann', signal)).toEqual({
      subject: '00u-ann',
      status: 'active',
      statusText: 'ACTIVE',
      groups: [
        { id: 'Engineering', name: 'Engineering', type: 'CLAIM' },
        { id: '00g1emaKYZTWRYYRRTSK', name: '00g1emaKYZTWRYYRRTSK', type: 'CLAIM' },
      ],
      asOf: clock.now(),
    })
  })

  test('whoever is inactive has no groups', async () => {
    expect(await createStaticSource({ people, clock }).lookup('00u-bob', signal)).toMatchObject({
      status: 'inactive',
      statusText: 'INACTIVE',
      groups: [],
    })
  })

  test('a person who is listed twice is an error', () => {
    const twice = [...people, { id: '00u-ann', groups: [] }]
    expect(() => createStaticSource({ people: twice, clock })).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: 'static directory: "00u-ann" is listed twice',
      }) as Error,
    )
  })
})

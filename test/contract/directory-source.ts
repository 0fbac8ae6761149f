import { describe, expect, onTestFinished, test } from 'vitest'
import type { Clock, Subject } from '../../src/types.ts'
import type { DirectorySource } from '../../src/directory/model.ts'

/** A source with one world behind it that a test can change. */
export interface SourceWorld {
  readonly source: DirectorySource
  readonly clock: Clock
  /** Ids that this source takes for people and groups; the nth is always the same. */
  person(n: number): Subject
  group(n: number): { readonly id: string; readonly name: string }
  /** The person is active and in these groups and in no other. */
  setActive(user: Subject, groups: readonly { readonly id: string; readonly name: string }[]): Promise<void>
  /** Returns the source's own word for it. */
  suspend(user: Subject): Promise<string>
  remove(user: Subject): Promise<void>
  /** From now on every reading fails. Absent: nothing behind this source can fail. */
  breakDown?(): Promise<void>
  close(): Promise<void>
}

/** What every `DirectorySource` promises. */
export function directorySourceContract(name: string, create: () => Promise<SourceWorld>): void {
  async function world(): Promise<SourceWorld> {
    const made = await create()
    onTestFinished(() => made.close())
    return made
  }

  const look = (of: SourceWorld, user: Subject) => of.source.lookup(user, new AbortController().signal)

  describe(`directory source: ${name}`, () => {
    test('reading an unknown person gives undefined', async () => {
      const of = await world()
      expect(await look(of, of.person(1))).toBeUndefined()
    })

    test.each(['me', '.', '..', '', '../groups', 'a/b', 'x?y=1', '%2e%2e', '__proto__', 'constructor'])(
      'an id that is none (%j) is nobody',
      async (id) => {
        const of = await world()
        await of.setActive(of.person(1), [of.group(1)])
        expect(await look(of, id)).toBeUndefined()
      },
    )

    test('reading an active person gives all groups', async () => {
      const of = await world()
      const groups = Array.from({ length: 450 }, (_, n) => of.group(n))
      await of.setActive(of.person(1), groups)
      await of.setActive(of.person(2), groups.slice(0, 2))
      const entry = await look(of, of.person(1))
      expect(entry).toMatchObject({ subject: of.person(1), status: 'active' })
      expect(new Set(own(entry?.groups ?? []))).toEqual(
        new Set(groups.map(({ id, name: called }) => `${id} ${called}`)),
      )
    })

    test('reading a person without groups gives an empty list', async () => {
      const of = await world()
      await of.setActive(of.person(1), [])
      expect(own((await look(of, of.person(1)))?.groups ?? [{ id: 'not', name: 'read', type: 'CLAIM' }])).toEqual([])
    })

    test('reading a suspended person gives inactive, with the word of the source', async () => {
      const of = await world()
      await of.setActive(of.person(1), [of.group(1)])
      const word = await of.suspend(of.person(1))
      expect(await look(of, of.person(1))).toMatchObject({ status: 'inactive', statusText: word })
    })

    test('reading a removed person gives undefined', async () => {
      const of = await world()
      await of.setActive(of.person(1), [of.group(1)])
      expect(await look(of, of.person(1))).toBeDefined()
      await of.remove(of.person(1))
      expect((await look(of, of.person(1)))?.status ?? 'gone').not.toBe('active')
    })

    test('a change is seen by the next reading', async () => {
      const of = await world()
      await of.setActive(of.person(1), [of.group(1), of.group(2)])
      await look(of, of.person(1))
      await of.setActive(of.person(1), [of.group(2)])
      expect(own((await look(of, of.person(1)))?.groups ?? [])).toEqual([`${of.group(2).id} ${of.group(2).name}`])
    })

    test('asOf is no newer than the reading', async () => {
      const of = await world()
      await of.setActive(of.person(1), [])
      const asOf = Number((await look(of, of.person(1)))?.asOf)
      expect(asOf).toBeLessThanOrEqual(Number(of.clock.now()))
      expect(asOf).toBeGreaterThan(Number(of.clock.now()) - 60_000)
    })

    test('a failed reading rejects with a code', async ({ skip }) => {
      const of = await world()
      await of.setActive(of.person(1), [of.group(1)])
      if (!of.breakDown) skip('nothing behind this source can fail')
      await of.breakDown?.()
      await expect(look(of, of.person(1))).rejects.toMatchObject({
        name: 'AppError',
        code: expect.stringMatching(/^ERR_DIRECTORY_/) as string,
      })
    })

    test('an aborted reading rejects', async () => {
      const of = await world()
      await of.setActive(of.person(1), [of.group(1)])
      await expect(of.source.lookup(of.person(1), AbortSignal.abort())).rejects.toMatchObject({
        code: 'ERR_DIRECTORY_UNREACHABLE',
      })
    })
  })
}

/** `Everyone` is implicit in some sources and listed by others. */
function own(groups: readonly { readonly id: string; readonly name: string; readonly type: string }[]): string[] {
  return groups.filter(({ type }) => type !== 'BUILT_IN').map(({ id, name }) => `${id} ${name}`)
}

/** How keys are named in Redis. The prefix in braces is a hash tag: all keys are in one slot, and scripts may use them together. */
export interface Names {
  /** Before the name of every key. */
  readonly tag: string
  /** The change log, a stream. */
  readonly changes: string
  record(table: string, id: string): string
  /** The ids of a table, a sorted set in the order of the ids. */
  table(table: string): string
  /** The ids under one value of the index of a table, in the same order. */
  index(table: string, index: string): string
  lease(name: string): string
  debt(id: string): string
}

export function nameOf(prefix: string): Names {
  const tag = `{${prefix}}`
  return {
    tag,
    changes: `${tag}changes`,
    record: (table, id) => `${tag}r:${table}:${id}`,
    table: (table) => `${tag}t:${table}`,
    index: (table, index) => `${tag}i:${table}:${index}`,
    lease: (name) => `${tag}l:${name}`,
    debt: (id) => `${tag}d:${id}`,
  }
}

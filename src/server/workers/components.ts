import type { Component } from '../health.ts'

const BADNESS: Readonly<Record<Component['status'], number>> = { ok: 0, degraded: 1, failed: 2 }

/** Components of several processes as those of one: of each name the worst; of equals the first. */
export function worstOf(processes: readonly (readonly Component[])[]): readonly Component[] {
  const byName = new Map<string, Component>()
  for (const component of processes.flat()) {
    const known = byName.get(component.name)
    if (!known || BADNESS[component.status] > BADNESS[known.status]) byName.set(component.name, component)
  }
  return [...byName.values()]
}

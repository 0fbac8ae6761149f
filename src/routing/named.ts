import type { Route } from '../config/route-model.ts'

/** Is this what people call the route: its name, or its host for all routes of the host? */
export function isNamed({ name, from }: Pick<Route, 'name' | 'from'>, text: string): boolean {
  return text === name || text === from.host
}

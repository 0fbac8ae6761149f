/** What one dependency answered. `warning`: Postern runs, but not as well as it could, or as somebody meant. */
export interface Finding {
  readonly name: string
  readonly ok: boolean
  readonly warning?: true
  /** Nothing is wrong with the configuration, but somebody may want to know. */
  readonly note?: true
  readonly message: string
}

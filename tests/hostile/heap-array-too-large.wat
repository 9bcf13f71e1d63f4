;; Makes an array whose size has more than 32 bits.
(module
  (type $words (array (mut i64)))
  (func (export "_start") (drop (array.new_default $words (i32.const -1)))))

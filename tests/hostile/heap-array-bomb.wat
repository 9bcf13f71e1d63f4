;; Makes an array of 2 GiB.
(module
  (type $bytes (array (mut i8)))
  (func (export "_start") (drop (array.new_default $bytes (i32.const 0x7fffffff)))))
